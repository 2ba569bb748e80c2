"""A network in memory: packets arrive in order, at once, unless the test loses, holds or delays them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dialog_sip.errors import SipError
from dialog_sip.message import Message, Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.testing.clock import ManualClock

MAX_PACKETS = 10_000
"""Packets that follow one another without the clock moving; with more, two peers talk in a circle."""


@dataclass(frozen=True)
class MemoryFlow:
    """A way to one peer (RFC 3261 section 18).

    It has what transactions ask of a flow (:class:`~dialog_sip.transactions.events.FlowLike`).
    """

    local_name: str
    remote_name: str
    transport: str = "udp"

    @property
    def reliable(self) -> bool:
        """True for all transports but UDP."""
        return self.transport != "udp"

    @property
    def local(self) -> tuple[str, int]:
        """Address and port of the one who has the flow: its name."""
        return f"{self.local_name}.invalid", 5060

    @property
    def remote(self) -> tuple[str, int]:
        """Those of the peer."""
        return f"{self.remote_name}.invalid", 5060

    def towards_port(self, port: int) -> MemoryFlow:  # noqa: ARG002 - names have no ports
        """Return the flow itself."""
        return self


class Packet(NamedTuple):
    """What went over the wire: a message (RFC 3261 section 7), or what is none."""

    at: float
    source: str
    target: str
    data: bytes

    @property
    def message(self) -> Message | None:
        """The packet, read; None for what is no message."""
        try:
            return parse_message(self.data)
        except SipError:
            return None

    def __str__(self) -> str:
        message = self.message
        what = "?"
        if isinstance(message, Request):
            what = message.method
        elif isinstance(message, Response):
            what = str(message.code)
        return f"{self.source} {what} {self.target}"


class Wire:
    """Carries packets between those who are attached under a name, as transports do (RFC 3261 section 18)."""

    def __init__(self, clock: ManualClock) -> None:
        self.packets: list[Packet] = []
        """Everything that was sent, lost packets included."""
        self.loses: Callable[[Packet], bool] = lambda _: False
        """Tells which packets never arrive."""
        self.is_held = False
        """While true nothing arrives: messages cross. Release with :meth:`release`."""
        self._clock = clock
        self._receivers: dict[str, Callable[[bytes, MemoryFlow], None]] = {}
        self._queue: deque[tuple[Packet, str]] = deque()
        self._is_delivering = False

    def attach(self, name: str, receive: Callable[[bytes, MemoryFlow], None]) -> None:
        """Let ``receive`` have what is sent to ``name``."""
        self._receivers[name] = receive

    def detach(self, name: str) -> None:
        """Let nothing arrive there any more."""
        self._receivers.pop(name, None)

    def send(self, flow: MemoryFlow, data: bytes) -> None:
        """Send from the local end of ``flow`` to its remote one."""
        packet = Packet(self._clock.now, flow.local_name, flow.remote_name, data)
        self.packets.append(packet)
        if not self.loses(packet):
            self._queue.append((packet, flow.transport))
        self._deliver()

    def release(self) -> None:
        """Let arrive what was held."""
        self.is_held = False
        self._deliver()

    def ladder(self, *, retransmissions: bool = False) -> list[str]:
        """Return what went over the wire as ``alice INVITE bob``, without 100 and without what went before."""
        seen: set[tuple[str, bytes]] = set()
        lines = []
        for packet in self.packets:
            key = (packet.source, packet.data)
            if str(packet).split()[1] != "100" and (retransmissions or key not in seen):
                lines.append(str(packet))
            seen.add(key)
        return lines

    def clear(self) -> None:
        """Forget what went over the wire."""
        self.packets.clear()

    def _deliver(self) -> None:
        if self._is_delivering or self.is_held:
            return
        self._is_delivering = True
        try:
            for _ in range(MAX_PACKETS):
                if not self._queue or self.is_held:
                    return
                packet, transport = self._queue.popleft()
                receive = self._receivers.get(packet.target)
                if receive is not None:
                    receive(packet.data, MemoryFlow(packet.target, packet.source, transport))
            raise AssertionError(f"more than {MAX_PACKETS} packets without time passing")
        finally:
            self._is_delivering = False
