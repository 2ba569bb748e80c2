"""The stack: starts every part as soon as what it needs is ready, keeps all of it running, ends it in order.

Theory of operation: one task a part waits for the parts it needs and then starts its process; all start side by side,
and the first failure cancels the rest. Once all are ready, a watching task a part restarts what ends by itself. The
end comes in two waves: the services, which may still want the servers, then the servers. A lock on the state folder
keeps a second stack away.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.kafka import EmbeddedKafka
from dialog_sandbox.locks import file_lock
from dialog_sandbox.paths import PortBook
from dialog_sandbox.postgres import EmbeddedPostgres
from dialog_sandbox.private import read_or_create, write_private
from dialog_sandbox.stack import conf
from dialog_sandbox.stack.options import Options
from dialog_sandbox.stack.parts import KINDS, Kind, Part, pbx, service
from dialog_sandbox.stack.service import Service
from dialog_sandbox.stack.supervisor import Report, Reporter, Supervisor

_SERVERS = frozenset({"kafka", "postgres", "pbx"})
"""What ends last."""

_GRACE = 2.0
"""Seconds that each of these gets to end by itself; the services had theirs before, and all of it takes less than 5."""


def _silent(_report: Report) -> None:
    """Tell nobody."""


class Stack:
    """An async context manager: inside it everything of ``options`` runs and is ready.

    ``report`` is called with each step. Raises :class:`SandboxError` if a port is taken, the state is in use, or a
    part does not start.
    """

    def __init__(self, options: Options, report: Reporter = _silent) -> None:
        self.options = options
        self.ports = options.ports
        self.kafka: EmbeddedKafka | None = None
        self.postgres: EmbeddedPostgres | None = None
        self.given = conf.Given()
        self._report = report
        self._supervisors: dict[str, Supervisor] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._held = ExitStack()
        self._book = PortBook([port for _, _, port, _ in options.ports.named()])
        self._pbx_http = 0

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.options.state

    @property
    def conf(self) -> Path:
        """The ``server.conf`` that the services read."""
        return self.state / "server.conf"

    @property
    def bootstrap(self) -> str:
        """Kafka's address, embedded or given."""
        return self.kafka.bootstrap if self.kafka else self.given.kafka or "localhost:9092"

    @property
    def page(self) -> str | None:
        """The console's address."""
        return f"http://127.0.0.1:{self.ports.http}/" if "console" in self.options.parts else None

    @property
    def pbx_control(self) -> str | None:
        """The sandbox PBX's HTTP address."""
        return f"http://127.0.0.1:{self._pbx_http}" if "pbx" in self.options.parts else None

    @property
    def sip_password(self) -> str:
        """The password of everybody at the sandbox PBX."""
        return read_or_create(self.state / "sip.password", lambda: secrets.token_urlsafe(12))

    def pids(self) -> dict[str, int]:
        """Return the process id of each part that runs, by name (``kafka``, ``registrar-1``...)."""
        return {name: pid for name, it in self._supervisors.items() if (pid := it.server.pid) is not None}

    def restarts(self) -> dict[str, int]:
        """Return how often each part had to be started again."""
        return {name: it.restarts for name, it in self._supervisors.items()}

    def log(self, name: str) -> Path:
        """Return where the output of a part goes."""
        return self._supervisors[name].server.log

    def pages(self) -> dict[str, str]:
        """Return where each service has its pages (``/healthz``, ``/metrics``...), by name."""
        servers = {name: it.server for name, it in self._supervisors.items()}
        return {
            name: server.part.ready.rpartition("/")[0]
            for name, server in servers.items()
            if isinstance(server, Service)
        }

    def kill(self, name: str) -> None:
        """Kill one part as a crash would; it comes back by itself."""
        self._supervisors[name].server.kill()

    async def add(self, kind: str) -> str:
        """Start one more instance of a service and return its name."""
        of = next((it for it in KINDS if it.name == kind), None)
        if of is None:
            raise SandboxError(f"no service is called {kind}")
        number = 1 + sum(name.startswith(f"{kind}-") for name in self._supervisors)
        supervisor = self._supervise(self._service(of, number))
        await supervisor.start()
        self._watch(supervisor)
        return supervisor.name

    async def start(self) -> None:
        """Start everything and wait until it is ready; if that fails or is cancelled, nothing is left running."""
        try:
            self._claim()
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything within 5 s: the services, then the servers, by force what does not go by itself."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers.clear()
        servers = [it.server for name, it in self._supervisors.items() if name in _SERVERS]
        services = [it.server for name, it in self._supervisors.items() if name not in _SERVERS]
        try:
            for wave in (services, servers):
                await asyncio.gather(*(server.stop_async() for server in wave))
        finally:
            for server in (*services, *servers):
                server.kill()
            self._held.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    def _claim(self) -> None:
        """Take the state folder and the ports."""
        state = self.state
        _make(state)
        busy = f"another dialog-sip is running on {state} (choose another folder with --state)"
        self._held.enter_context(file_lock(state / "lock", busy=busy))
        self.given = conf.read_given(self.options.conf) if self.options.conf else conf.Given()
        self.options.ports.check(self.options.parts - self._not_embedded())
        self.ports = self.options.ports.filled(self._book)

    def _not_embedded(self) -> set[str]:
        given = {"kafka": self.given.kafka, "postgres": self.given.postgres}
        return {name for name, address in given.items() if address}

    async def _start(self) -> None:
        parts = self.options.parts - self._not_embedded()
        logs = self.state / "logs"
        needs: dict[str, tuple[str, ...]] = {}
        if "kafka" in parts:
            self.kafka = EmbeddedKafka(
                self.state,
                self.ports.kafka,
                controller_port=self._book.take(),
                log=logs / "kafka.log",
                stop_timeout=_GRACE,
                progress=lambda text: self._report(Report("kafka", text)),
            )
            self._supervisors["kafka"] = Supervisor("kafka", self.kafka, self._report)
        if "postgres" in parts:
            self.postgres = EmbeddedPostgres(
                self.state, self.ports.postgres, log=logs / "postgres.log", stop_timeout=_GRACE
            )
            self._supervisors["postgres"] = Supervisor("postgres", self.postgres, self._report)
        for part in self._parts(parts):
            needs[part.name] = part.needs
            self._supervise(part)
        write_private(self.conf, self._conf_text(parts))
        await self._start_all(needs)
        for supervisor in self._supervisors.values():
            self._watch(supervisor)

    async def _start_all(self, needs: dict[str, tuple[str, ...]]) -> None:
        ready = {name: asyncio.Event() for name in self._supervisors}

        async def start(supervisor: Supervisor) -> None:
            for need in needs.get(supervisor.name, ()):
                if need in ready:
                    await ready[need].wait()
            await supervisor.start()
            ready[supervisor.name].set()

        try:
            async with asyncio.TaskGroup() as group:
                for supervisor in self._supervisors.values():
                    group.create_task(start(supervisor), name=f"start {supervisor.name}")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _parts(self, parts: frozenset[str]) -> list[Part]:
        found = []
        if "pbx" in parts:
            self._pbx_http = self._book.take()
            found.append(pbx(self.ports.sip, self._pbx_http, self.sip_password, self.state / "pbx-bindings.json"))
        for kind in KINDS:
            count = self.options.scale.get(kind.name, 1) if kind.name in parts else 0
            found += [self._service(kind, number) for number in range(1, count + 1)]
        return found

    def _service(self, kind: Kind, number: int) -> Part:
        env = dict(self.options.environment)
        if kind.name == "console" and self.pbx_control:
            env["SANDBOX_PBX"] = self.pbx_control
        port = self.ports.http if kind.name == "console" else self._book.take()
        return service(kind, number, self.conf, port, env)

    def _supervise(self, part: Part) -> Supervisor:
        server = Service(part, self.state / "logs" / f"{part.name}.log")
        self._supervisors[part.name] = supervisor = Supervisor(part.name, server, self._report)
        return supervisor

    def _watch(self, supervisor: Supervisor) -> None:
        self._watchers.append(asyncio.create_task(supervisor.watch(), name=f"watch {supervisor.name}"))

    def _conf_text(self, parts: frozenset[str]) -> str:
        own = self.options.conf
        text = conf.include(own) if own else conf.sandbox_section(self.ports.sip, self.sip_password)
        if "kafka" in parts:
            text += conf.kafka_section(self.bootstrap)
        if (server := self.postgres) is not None:
            secret = server.password.get_secret_value()
            text += conf.postgres_section(server.host, server.port, server.db, server.user, secret)
        return text + self.options.extra_conf


def _make(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / "logs").mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as error:
        raise SandboxError(f"cannot write {state}: {error.strerror}") from None
