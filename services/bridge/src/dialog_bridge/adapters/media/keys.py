"""Plays keys into the audio that goes to the PBX: the timer round :class:`KeyWriter`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dialog_sip.sdp import Codec

from dialog_bridge.adapters.media.direction import Direction
from dialog_bridge.adapters.media.dtmf import KeyWriter


class KeyPlayer:
    """Sends keys on the SIP side's stream, in which the client's audio pauses meanwhile (RFC 4733 section 2.5.1.2)."""

    def __init__(self, direction: Direction, send: Callable[[bytes], None], changed: Callable[[], None]) -> None:
        self._direction = direction
        self._send = send
        self._changed = changed
        """Called where :attr:`is_playing` has changed."""
        self._loop = asyncio.get_running_loop()
        self._writer: KeyWriter | None = None
        self._payload_type = 0
        self._audio_rate = 0
        self._timestamp = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_playing(self) -> bool:
        """Whether a key is being sent, or the pause after one."""
        return self._timer is not None

    def use(self, events: Codec | None, audio_rate: int) -> None:
        """Take the format of the SIP side, None where it has none, and the clock rate of its audio."""
        self._audio_rate = audio_rate
        if events is None:
            self.stop()
            self._writer = None
            return
        self._payload_type = events.payload_type
        if self._writer is None or self._writer.clock_rate != events.clock_rate:
            self._writer = KeyWriter(events.clock_rate)

    def press(self, digits: str, duration_ms: int) -> None:
        """Queue keys. Where the SIP side takes none they are dropped."""
        if self._writer is None:
            return
        self._writer.press(digits, duration_ms, self._loop.time())
        if self._timer is None:
            self._timer = self._loop.call_at(self._loop.time(), self._play)
            self._direction.interrupt()
            self._changed()

    def stop(self) -> None:
        """Stop at once and forget what is queued."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _play(self) -> None:
        writer, now = self._writer, self._loop.time()
        for packet in writer.poll(now) if writer is not None else ():
            if packet.first:
                self._timestamp = self._direction.rewriter.timestamp_at(now, self._audio_rate)
            self._send(
                self._direction.rewriter.insert(
                    packet.payload, self._payload_type, self._timestamp, now, first=packet.first
                )
            )
        if writer is None or writer.next_at is None:
            self._timer = None
            self._changed()
        else:
            self._timer = self._loop.call_at(writer.next_at, self._play)
