"""What can be chosen about a stack, and what is checked before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dialog_sandbox.errors import SandboxError, WrongConfigurationError
from dialog_sandbox.paths import PortBook, needs_privilege, port_is_free

SCALABLE = ("provisioner", "registrar", "bridge")
"""Services of which any number may run."""

PARTS = ("kafka", "postgres", "pbx", *SCALABLE, "console")
"""Everything that can be left out."""

MAX_INSTANCES = 16
"""Of one service; the sandbox is one machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of 127.0.0.1; 0 means any free one."""

    kafka: int = 0
    postgres: int = 0
    sip: int = 0
    """Of the sandbox PBX, UDP and TCP."""
    http: int = 0
    """Of the console's page."""

    def named(self) -> Iterator[tuple[str, str, int, tuple[socket.SocketKind, ...]]]:
        """Yield part, what a person calls it, port, and the kinds of socket that will be bound."""
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        yield "kafka", "Kafka", self.kafka, (tcp,)
        yield "postgres", "PostgreSQL", self.postgres, (tcp,)
        yield "pbx", "the PBX", self.sip, (tcp, udp)
        yield "console", "the page", self.http, (tcp,)

    def check(self, parts: frozenset[str]) -> None:
        """Raise :class:`SandboxError` with the first chosen port of ``parts`` that is taken or chosen twice."""
        seen: dict[int, str] = {}
        for part, what, port, kinds in self.named():
            if part not in parts or not port:
                continue
            if port in seen:
                raise SandboxError(f"port {port} is chosen for {seen[port]} and for {what}")
            seen[port] = what
            if not all(port_is_free(port, kind) for kind in kinds):
                is_so = "needs root" if needs_privilege(port) else "is taken"
                raise SandboxError(f"port {port} of 127.0.0.1, for {what}, {is_so}: choose another with {OPTION[part]}")

    def filled(self, book: PortBook) -> Ports:
        """Return the same with free ports in place of zeros."""
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        return Ports(
            kafka=self.kafka or book.take(),
            postgres=self.postgres or book.take(),
            sip=self.sip or book.take(tcp, udp),
            http=self.http or book.take(),
        )


OPTION = {"kafka": "--kafka-port", "postgres": "--postgres-port", "pbx": "--sip-port", "console": "--http-port"}
"""The option of the command that chooses the port of a part."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a stack consists of. Raises :class:`SandboxError` for what makes no sense."""

    state: Path
    """Where everything lasting is: data, logs, the generated configuration."""
    conf: Path | None = None
    """A ``server.conf`` of one's own; its PBX takes the place of the sandbox's."""
    without: frozenset[str] = frozenset()
    scale: Mapping[str, int] = field(default_factory=dict)
    """Instances of a service; 1 where nothing is said."""
    ports: Ports = field(default_factory=Ports)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables of the services."""
    extra_conf: str = ""
    """HOCON that is put behind the generated configuration, and wins."""

    def __post_init__(self) -> None:
        if unknown := self.without - set(PARTS):
            raise SandboxError(f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
        for name, count in self.scale.items():
            if name not in SCALABLE:
                raise SandboxError(f"{name} cannot be scaled: {', '.join(SCALABLE)}")
            if not 0 < count <= MAX_INSTANCES:
                raise SandboxError(f"{name} can be scaled to 1..{MAX_INSTANCES}, not {count}")
        if self.conf is not None and not self.conf.is_file():
            raise WrongConfigurationError(f"{self.conf} is not a file")

    @property
    def parts(self) -> frozenset[str]:
        """What runs, as far as the options tell: with a configuration of one's own there is no sandbox PBX."""
        return frozenset(PARTS) - self.without - ({"pbx"} if self.conf else set())
