"""One direction of a call: payload types, hold and keys on top of :class:`Rewriter` and :class:`Reception`. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dialog_bridge.adapters.media import dtmf
from dialog_bridge.adapters.media.codecs import Agreement
from dialog_bridge.adapters.media.reception import Reception
from dialog_bridge.adapters.media.rtp import HEADER, HEADER_SIZE, Rewriter, has_extras, without_extras


@dataclass(frozen=True, slots=True)
class Route:
    """What happens to packets of one payload type. ``payload_type`` None: the other side has not agreed to them."""

    payload_type: int | None
    clock_rate: int
    out_rate: int
    is_event: bool = False


Routes = Mapping[int, Route]


def routes_to_sip(agreement: Agreement) -> Routes:
    """Return the routes of what the client sends."""
    audio = {
        pair.web.payload_type: Route(pair.sip.payload_type, pair.web.clock_rate, pair.sip.clock_rate)
        for pair in agreement.audio
    }
    web, sip = agreement.web_events, agreement.sip_events
    if web is None:
        return audio
    out = web.clock_rate if sip is None else sip.clock_rate
    return {
        web.payload_type: Route(None if sip is None else sip.payload_type, web.clock_rate, out, is_event=True),
        **audio,
    }


def routes_to_web(agreement: Agreement) -> Routes:
    """Return the routes of what the PBX sends."""
    audio = {
        pair.sip.payload_type: Route(pair.web.payload_type, pair.sip.clock_rate, pair.web.clock_rate)
        for pair in agreement.audio
    }
    web, sip = agreement.web_events, agreement.sip_events
    if sip is None:
        return audio
    out = sip.clock_rate if web is None else web.clock_rate
    return {
        sip.payload_type: Route(None if web is None else web.payload_type, sip.clock_rate, out, is_event=True),
        **audio,
    }


EventSeen = Callable[[int, dtmf.Event, int, float], None]
"""RTP timestamp, event, clock rate, time."""


class Direction:
    """Turns packets of one side into packets for the other."""

    __slots__ = ("_event_seen", "_flows", "is_open", "reception", "reports", "rewriter", "routes", "unusable")

    def __init__(self, rewriter: Rewriter, event_seen: EventSeen | None = None) -> None:
        self.routes: Routes = {}
        self.rewriter = rewriter
        self.reception = Reception()
        self.is_open = False
        """False on hold: packets are counted and not passed on."""
        self.unusable = 0
        """Packets that are no RTP of an agreed payload type."""
        self.reports = 0
        """RTCP packets."""
        self._event_seen = event_seen
        self._flows = False

    @property
    def words(self) -> int:
        """Packets of any kind that came from this side."""
        return self.reception.packets + self.unusable + self.reports

    def knows(self, packet: bytes) -> bool:
        """Return whether this is an RTP packet of an agreed payload type."""
        return len(packet) >= HEADER_SIZE and packet[0] >> 6 == 2 and (packet[1] & 0x7F) in self.routes

    def forward(self, packet: bytes, now: float) -> bytes | None:
        """Return the packet for the other side, or None where there is none to send."""
        route = self.routes.get(packet[1] & 0x7F) if len(packet) >= HEADER_SIZE else None
        if route is None:
            self.unusable += 1
            return None
        first, _, sequence, timestamp, ssrc = HEADER.unpack_from(packet)
        self.reception.received(ssrc, sequence, timestamp, route.clock_rate, now)
        plain = without_extras(packet) if has_extras(first) else packet
        if plain is not None and route.is_event:
            plain = self._event(plain, timestamp, route, now)
        if plain is None or route.payload_type is None or not self.is_open:
            self.interrupt()
            return None
        self._flows = True
        return self.rewriter.rewrite(plain, route.payload_type, route.out_rate, now)

    def interrupt(self) -> None:
        """Let the next packet join anew, since others were left out or put in before it."""
        if self._flows:
            self._flows = False
            self.rewriter.rejoin()

    def _event(self, packet: bytes, timestamp: int, route: Route, now: float) -> bytes | None:
        event = dtmf.Event.parse(packet[HEADER_SIZE:])
        if event is None:
            return None
        if self._event_seen is not None:
            self._event_seen(timestamp, event, route.clock_rate, now)
        if route.clock_rate == route.out_rate:
            return packet
        return packet[:HEADER_SIZE] + dtmf.rescaled(packet[HEADER_SIZE:], route.out_rate, route.clock_rate)
