"""Apache Kafka itself, one KRaft node on the loopback, for the sandbox and the tests.

Theory of operation: ``prepare`` sees to jars, ahead-of-time cache and formatted storage; ``ready`` waits for an answer
of the broker, which it gives only once it is unfenced and takes requests (see :mod:`dialog_sandbox.server`).
"""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.java import Launcher, launcher
from dialog_sandbox.kafka_config import CLUSTER_ID, KafkaConfig
from dialog_sandbox.paths import claim_port, free_port
from dialog_sandbox.process import Child
from dialog_sandbox.server import EmbeddedServer

_POLL = 0.025


class EmbeddedKafka(EmbeddedServer):
    """One broker with its state under ``state_dir``.

    Inside it as a context manager the broker answers on :attr:`bootstrap`. ``port`` 0 means any free one. ``settings``
    are further lines of ``server.properties``. ``start_timeout`` is in seconds and excludes the download. ``java``
    replaces the usual launcher, with its fetched jars and its cache.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int = 0,
        *,
        controller_port: int = 0,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        start_timeout: float = 30.0,
        stop_timeout: float = 5.0,
        progress: Callable[[str], None] = lambda _text: None,
        java: Launcher | None = None,
    ) -> None:
        self._home = state_dir / "kafka"
        super().__init__(log or self._home / "kafka.log", stop_timeout)
        port = port or free_port()
        controller_port = controller_port or free_port(exclude=(port,))
        self.config = KafkaConfig(port, controller_port, self._home / "data", dict(settings or {}))
        self._start_timeout = start_timeout
        self._progress = progress
        self._launcher = java

    @property
    def bootstrap(self) -> str:
        """Address for clients, ``127.0.0.1:port``."""
        return self.config.bootstrap

    @property
    def port(self) -> int:
        """The client port."""
        return self.config.port

    def prepare(self) -> None:
        """Fetch the jars, make the ahead-of-time cache, format the storage: whatever is not done yet."""
        self._home.mkdir(parents=True, exist_ok=True)
        if self._launcher is None:
            self._launcher = launcher(train_cache, self._progress)
        properties = self._home / "server.properties"
        properties.write_text(self.config.properties())
        if not (self.config.data / "meta.properties").is_file():
            # fmt: off
            self._launcher.run("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties),
                               "--ignore-formatted")
            # fmt: on

    def spawn(self, options: tuple[str, ...] = ()) -> None:
        """Start the process after :meth:`prepare`; in the thread that will live as long as it."""
        if self._launcher is None:
            raise SandboxError("Kafka was not prepared")
        if self.pid is not None:
            raise SandboxError("Kafka runs already")
        claim_port(self.port, "Kafka")  # else another broker there would be taken for ours
        argv = self._launcher.argv("kafka.Kafka", str(self._home / "server.properties"), options=options)
        self._child = Child.spawn(argv, log=self.log)

    def ready(self) -> bool:
        """Wait until the broker answers. If it does not, end it and raise :class:`SandboxError`."""
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            if self._child is None or self._child.returncode() is not None:
                break
            if answers(self.config.port, timeout=max(_POLL, deadline - time.monotonic())):
                return True
            time.sleep(_POLL)
        reason = self._child.last_line() if self._child else "it was not started"
        self.kill()
        raise SandboxError(f"Kafka does not start: {reason} (see {self.log})")


def answers(port: int, timeout: float) -> bool:
    """Ask the broker at ``port`` for its API versions (Kafka protocol, key 18, version 0); True if it answers.

    The kernel accepts connections long before the broker handles requests, so a mere connect would prove nothing.
    """
    body = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(body)) + body)
            return len(connection.recv(8)) > 0
    except OSError:
        return False


def train_cache(bare: Launcher, cache: Path) -> None:
    """Start and stop a broker on throw-away data, so that its JVM writes the ahead-of-time cache."""
    with tempfile.TemporaryDirectory(prefix="dialog-sip-train-") as scratch:
        broker = EmbeddedKafka(Path(scratch), stop_timeout=60.0, java=bare)
        broker.prepare()
        broker.spawn((f"-XX:AOTCacheOutput={cache}",))
        broker.ready()
        broker.stop()
