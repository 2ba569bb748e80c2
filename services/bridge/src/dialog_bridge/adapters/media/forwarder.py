"""The media of one call: both legs, a direction each way, keys, reports and the watch for silence.

Theory of operation. A datagram is taken in the callback that reads it, decrypted or not, rewritten, encrypted or not,
and sent, all in one go: no queue, no task, no decoding. RTCP ends here on both sides: every few seconds each side
gets a report of our own about what it sent and what we send it, so that it can compute loss and round trip; of what
comes in only sender reports are read.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import Protocol

from dialog_schemas.calls import Quality

from dialog_bridge.adapters.media import dtmf, rtcp
from dialog_bridge.adapters.media.certificate import SharedCertificate
from dialog_bridge.adapters.media.codecs import Agreement
from dialog_bridge.adapters.media.direction import Direction, routes_to_sip, routes_to_web
from dialog_bridge.adapters.media.ice import IceShared
from dialog_bridge.adapters.media.keys import KeyPlayer
from dialog_bridge.adapters.media.rtp import Rewriter
from dialog_bridge.adapters.media.silence import Silence
from dialog_bridge.adapters.media.sip_leg import SipLeg
from dialog_bridge.adapters.media.sockets import PortPool
from dialog_bridge.adapters.media.web_leg import WebLeg

_TICK = 1.0
"""Seconds between looks at what is due."""

_ASK_AT = 0.5
"""Part of the longest silence after which the PBX is asked whether the call is still there."""


class ForwarderEvents(Protocol):
    """What the media of a call reports. None of these may block or raise."""

    def connected(self) -> None:
        """Report that the client is connected."""

    def silent(self) -> None:
        """Report that the PBX has been silent for a while, once each silence."""

    def failed(self, reason: str) -> None:
        """Report that media is lost for good."""

    def digit_received(self, digit: str, duration_ms: int) -> None:
        """Report a key of the SIP side."""


class Forwarder:
    """Forwards between a :class:`WebLeg` and a :class:`SipLeg`. ``host`` is what RTP ports are bound to.

    Raises :class:`PortsExhaustedError` and :class:`OSError`.
    """

    def __init__(
        self,
        ice: IceShared,
        certificate: SharedCertificate,
        ports: PortPool,
        host: str,
        events: ForwarderEvents,
    ) -> None:
        self._settings = ice.settings
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self.cname = secrets.token_hex(8)
        self.to_sip = Direction(_rewriter())
        self.to_web = Direction(_rewriter(), self._event_seen)
        self._agreement = Agreement()
        self._sip_open = self._web_open = False
        self._keys = dtmf.KeyReader()
        self.sip = SipLeg(ports, host, self)
        self.web = WebLeg(ice, certificate, self)
        self._player = KeyPlayer(self.to_sip, self.sip.send_rtp, self._set_gates)
        self._silence_of_web, self._silence_of_sip = Silence(), Silence()
        self._report_at = 0.0
        self._ticking: asyncio.TimerHandle | None = None
        self._ended = False

    def use(self, agreement: Agreement) -> None:
        """Forward what is agreed. The same agreement again changes nothing."""
        self._agreement = agreement
        self.to_sip.routes = routes_to_sip(agreement)
        self.to_web.routes = routes_to_web(agreement)
        self._player.use(agreement.sip_events, agreement.audio[0].sip.clock_rate)

    def open_gates(self, *, to_sip: bool, to_web: bool) -> None:
        """Set which directions flow: on hold packets are counted and dropped."""
        self._sip_open, self._web_open = to_sip, to_web
        self._set_gates()

    def expect(self, *, web: bool, sip: bool) -> None:
        """Set which sides are to send from now on."""
        self._silence_of_web.expect(expected=web)
        self._silence_of_sip.expect(expected=sip)

    def pbx_lives(self) -> None:
        """Begin to count the silence of the PBX anew: it answered, or offered, something."""
        self._silence_of_sip.break_off()

    def press(self, digits: str, duration_ms: int) -> None:
        """Queue keys for the SIP side."""
        if not self._ended:
            self._player.press(digits, duration_ms)

    def quality(self) -> Quality:
        """Return what was counted. Each side's numbers are of what came from it."""
        web, sip = self.to_sip.reception, self.to_web.reception
        pairs = self._agreement.audio
        return Quality(
            codec=pairs[0].web.name if pairs else None,
            sip_packets=sip.packets,
            sip_lost=sip.lost,
            web_packets=web.packets,
            web_lost=web.lost,
        )

    async def close(self) -> None:
        """Free everything. Safe to call twice."""
        self._ended = True
        self._player.stop()
        if self._ticking is not None:
            self._ticking.cancel()
        self.sip.close()
        await self.web.close()

    def rtp_from_web(self, packet: bytes) -> None:
        """Forward to the PBX."""
        out = self.to_sip.forward(packet, self._now())
        if out is not None:
            self.sip.send_rtp(out)

    def rtp_from_sip(self, packet: bytes) -> None:
        """Forward to the client."""
        out = self.to_web.forward(packet, self._now())
        if out is not None:
            self.web.send_rtp(out)

    def is_rtp_of_sip(self, packet: bytes) -> bool:
        """Return whether it is RTP of an agreed payload type."""
        return self.to_web.knows(packet)

    def rtcp_from_web(self, packet: bytes) -> None:
        """Note the client's sender reports."""
        self._rtcp(packet, self.to_sip)

    def rtcp_from_sip(self, packet: bytes) -> None:
        """Note the PBX's sender reports."""
        self._rtcp(packet, self.to_web)

    def web_connected(self) -> None:
        """Start reports and the watch for silence."""
        if self._ended:
            return
        if self._ticking is None:
            self._tick()
        self._events.connected()

    def web_lost(self, reason: str) -> None:
        """Report it, once."""
        if not self._ended:
            self._ended = True
            self._events.failed(reason)

    def _rtcp(self, packet: bytes, direction: Direction) -> None:
        now = self._now()
        direction.reports += 1
        for ssrc, ntp_middle in rtcp.sender_reports(packet):
            direction.reception.sender_report(ssrc, ntp_middle, now)

    def _set_gates(self) -> None:
        for direction, is_open in (
            (self.to_sip, self._sip_open and not self._player.is_playing),
            (self.to_web, self._web_open),
        ):
            direction.is_open = is_open
            if not is_open:
                direction.interrupt()

    def _event_seen(self, timestamp: int, event: dtmf.Event, clock_rate: int, now: float) -> None:
        self._report_keys(self._keys.take(timestamp, event, clock_rate, now))

    def _report_keys(self, keys: list[dtmf.Pressed]) -> None:
        for key in keys:
            if not self._ended:
                self._events.digit_received(key.key, key.duration_ms)

    def _tick(self) -> None:
        now = self._now()
        self._report_keys(self._keys.expire(now))
        if now >= self._report_at:
            # Spread, so that calls which began together do not report together (RFC 3550 section 6.3.1).
            self._report_at = now + self._settings.report_interval * random.uniform(0.5, 1.5)  # noqa: S311
            self._send_reports(now)
        self._watch_silence(now)
        if not self._ended:
            self._ticking = self._loop.call_later(_TICK, self._tick)

    def _watch_silence(self, now: float) -> None:
        limit = self._settings.silence_timeout
        sides = ((self._silence_of_web, self.to_sip, "client"), (self._silence_of_sip, self.to_web, "PBX"))
        for silence, direction, name in sides:
            silence.look(direction.words, now)
            if silence.seconds >= limit:
                self.web_lost(f"no packet from the {name} for {limit:g} s")
        if self._silence_of_sip.is_news(limit * _ASK_AT) and not self._ended:
            self._events.silent()

    def _send_reports(self, now: float) -> None:
        wall = time.time()
        pairs = self._agreement.audio
        rate = pairs[0].sip.clock_rate if pairs else 0
        self.sip.send_rtcp(self._report(self.to_sip, self.to_web, rate, wall, now))
        self.web.send_rtcp(self._report(self.to_web, self.to_sip, rate, wall, now))

    def _report(self, sent: Direction, received: Direction, rate: int, wall: float, now: float) -> bytes:
        out = sent.rewriter
        info = rtcp.Sent(wall, out.timestamp_at(now, rate), out.packets, out.octets) if out.packets else None
        return rtcp.compound(out.ssrc, self.cname, info, received.reception.report(now))


def _rewriter() -> Rewriter:
    return Rewriter(secrets.randbits(32), secrets.randbits(16), secrets.randbits(32))
