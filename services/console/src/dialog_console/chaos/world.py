"""The system under test: the stack with two of each service, and the two PBXs that its mappings register at."""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dialog_sandbox.kamailio import Kamailio
from dialog_sandbox.private import write_private
from dialog_sandbox.simulator import Simulator
from dialog_sandbox.stack import Options, Ports, Stack
from dialog_sandbox.stack.supervisor import Report
from dialog_sandbox.stack.temporary import temporary_state
from pydantic import SecretStr

from dialog_console.chaos.model.edits import Pbx
from dialog_console.chaos.model.evidence import Span
from dialog_console.chaos.size import Size

Tell = Callable[[str], None]
"""Takes one line for a person."""

_CONF = """
modules.sip {{
  register {{ expires = {granted} seconds, interval = 30 minutes }}
  trace-level = 16
  autocreate.user-prefix = "d"
}}
"""
"""Traced, because a trace is where a secret would show first."""


@dataclass(slots=True)
class Timeline:
    """What happened when, and which part could not do its work for how long. Times are of the wall clock."""

    tell: Tell
    began: float = field(default_factory=time.time)
    lines: list[tuple[float, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    ended_by_themselves: list[str] = field(default_factory=list)
    _down: dict[str, float] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Write a line."""
        at = time.time() - self.began
        self.lines.append((round(at, 2), text))
        self.tell(f"{at:8.1f} s  {text}")

    def down(self, name: str) -> None:
        """Note that a part cannot do its work from now on."""
        self._down.setdefault(name, time.time())

    def up(self, name: str) -> None:
        """Note that it can again."""
        if (since := self._down.pop(name, None)) is not None:
            self.spans.append(Span(name, since, time.time()))

    def is_down(self, name: str) -> bool:
        """Tell whether a part cannot do its work now."""
        return name in self._down

    def blocked(self) -> list[Span]:
        """Return all spans, those that go on up to now included."""
        return [*self.spans, *(Span(name, since, time.time()) for name, since in self._down.items())]

    def heard(self, report: Report) -> None:
        """Take what the stack says of a part."""
        if report.text == "ready again":
            self.up(report.name)
        elif not report.ok and not self.is_down(report.name):
            self.ended_by_themselves.append(report.name)
            self.down(report.name)
        self.note(f"{report.name}: {report.text}")


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs."""

    size: Size
    timeline: Timeline
    password: SecretStr
    """Of every user at both PBXs: the canary."""
    stack: Stack
    simulator: Simulator
    kamailio: Kamailio

    def port(self, pbx: Pbx) -> int:
        """Return the SIP port of a PBX."""
        return self.simulator.port if pbx is Pbx.SIMULATOR else self.kamailio.port

    @property
    def logs(self) -> list[Path]:
        """Return every file that anything here logged to."""
        return [*sorted((self.stack.state / "logs").iterdir()), self.kamailio.log_file]


@asynccontextmanager
async def world(size: Size, tell: Tell, password: SecretStr) -> AsyncIterator[World]:
    """Start everything; nothing is left of it afterwards. Raises :class:`SandboxError` where a part does not start."""
    timeline = Timeline(tell)
    with temporary_state() as state, tempfile.TemporaryDirectory(prefix="kam-") as folder:
        logs = state / "logs"
        logs.mkdir()
        write_private(state / "sip.password", password.get_secret_value())
        kamailio = Kamailio(Path(folder), password.get_secret_value(), max_expires=size.granted, journal=True)
        simulator = Simulator(password, logs, expires=size.granted, seed=size.seed)
        try:
            await kamailio.start()
            async with simulator:
                options = Options(
                    state=state,
                    without=frozenset({"pbx", "console", "bridge"}),
                    scale={"provisioner": 2, "registrar": 2},
                    ports=Ports(sip=simulator.port),
                    extra_conf=_CONF.format(granted=size.granted),
                )
                async with Stack(options, timeline.heard) as stack:
                    yield World(size, timeline, password, stack, simulator, kamailio)
        finally:
            await kamailio.stop()
