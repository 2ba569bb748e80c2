"""Telephone events (RFC 4733): keys in RTP packets, read and made. No I/O; time is an argument, in seconds."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

KEYS = "0123456789*#ABCD"
"""Event codes 0 to 15 (RFC 4733 section 3.2)."""

PACKET_SECONDS = 0.02
"""Between two updates of one event (RFC 4733 section 2.5.1.2 wants at most 50 ms)."""
END_REPEATS = 3
"""How often the end is sent, since losing it would prolong the key (RFC 4733 section 2.5.1.4)."""
PAUSE_SECONDS = 0.06
"""Silence between two keys; Q.24 receivers need 40 ms."""
MAX_QUEUED = 128
"""Keys that wait at most; what is beyond is dropped."""
LOST_END_SECONDS = 1.0
"""A key whose updates stopped for this long was released and its end lost."""

_PAYLOAD = struct.Struct("!BBH")
_END = 0x80
_VOLUME_DBM0 = 10
_MAX_DURATION = 0xFFFF


@dataclass(frozen=True, slots=True)
class Event:
    """One telephone-event payload. ``duration`` counts the payload format's clock."""

    code: int
    ended: bool
    duration: int
    volume: int = _VOLUME_DBM0

    @classmethod
    def parse(cls, payload: bytes) -> Event | None:
        """Read a payload. None where it is cut short."""
        if len(payload) < _PAYLOAD.size:
            return None
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(code, bool(flags & _END), duration, flags & 0x3F)

    def pack(self) -> bytes:
        """Return the payload."""
        return _PAYLOAD.pack(self.code, (_END if self.ended else 0) | self.volume, min(self.duration, _MAX_DURATION))


def rescaled(payload: bytes, numerator: int, denominator: int) -> bytes:
    """Return an event payload whose duration counts another clock. ``payload`` has four bytes at least."""
    duration = int.from_bytes(payload[2:4], "big") * numerator // denominator
    return payload[:2] + min(duration, _MAX_DURATION).to_bytes(2, "big") + payload[4:]


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key that was pressed and released."""

    key: str
    duration_ms: int


class KeyReader:
    """Turns the packets of one direction into keys: each event once, told apart by its RTP timestamp.

    A key is reported at its first end packet; where all of those were lost, when the next key starts or at
    :meth:`expire`.
    """

    def __init__(self) -> None:
        self._timestamp: int | None = None
        self._open: tuple[Event, int] | None = None
        self._seen_at = 0.0

    def take(self, timestamp: int, event: Event, clock_rate: int, now: float) -> list[Pressed]:
        """Take one packet's event and return the keys that are known to be released by it."""
        self._seen_at = now
        released: list[Pressed] = []
        if timestamp != self._timestamp:
            released = self._release()
            self._timestamp = timestamp
            self._open = (event, clock_rate)
        elif self._open is not None:
            self._open = (event, clock_rate)
        if event.ended:
            released += self._release()
        return released

    def expire(self, now: float) -> list[Pressed]:
        """Return the key whose end was lost, once it has been silent for :data:`LOST_END_SECONDS`."""
        return self._release() if now - self._seen_at >= LOST_END_SECONDS else []

    def _release(self) -> list[Pressed]:
        if self._open is None:
            return []
        event, clock_rate = self._open
        self._open = None
        if event.code >= len(KEYS):
            return []
        return [Pressed(KEYS[event.code], event.duration * 1000 // clock_rate)]


@dataclass(frozen=True, slots=True)
class KeyPacket:
    """A payload to send now. With ``first`` an event starts: marker bit, and a timestamp that all its packets share."""

    payload: bytes
    first: bool


class KeyWriter:
    """Queue of keys, played as RFC 4733 section 2.5.1 says: :meth:`poll` at :attr:`next_at`, while there is one."""

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self._waiting: deque[tuple[int, float]] = deque()
        self._code: int | None = None
        self._started = 0.0
        self._length = 0.0
        self.next_at: float | None = None
        """When the next packet is due, or None while nothing is to be sent."""

    def press(self, digits: str, duration_ms: int, now: float) -> None:
        """Queue keys. Characters that are no key, and keys beyond :data:`MAX_QUEUED`, are dropped."""
        codes = [KEYS.find(digit) for digit in digits.upper()]
        room = MAX_QUEUED - len(self._waiting)
        self._waiting.extend((code, duration_ms / 1000) for code in [code for code in codes if code >= 0][:room])
        if self.next_at is None and self._waiting:
            self.next_at = now

    def poll(self, now: float) -> list[KeyPacket]:
        """Return the packets that are due."""
        if self.next_at is None or now < self.next_at:
            return []
        if self._code is None:
            return self._start(now)
        return self._update(now)

    def _start(self, now: float) -> list[KeyPacket]:
        if not self._waiting:
            self.next_at = None
            return []
        self._code, self._length = self._waiting.popleft()
        self._started = now
        self.next_at = now + PACKET_SECONDS
        return [self._packet(self._code, PACKET_SECONDS, first=True)]

    def _update(self, now: float) -> list[KeyPacket]:
        code = self._code or 0
        elapsed = now - self._started + PACKET_SECONDS
        if elapsed < self._length:
            self.next_at = now + PACKET_SECONDS
            return [self._packet(code, elapsed)]
        self._code = None
        self.next_at = now + PAUSE_SECONDS
        return [self._packet(code, self._length, ended=True)] * END_REPEATS

    def _packet(self, code: int, seconds: float, *, first: bool = False, ended: bool = False) -> KeyPacket:
        return KeyPacket(Event(code, ended, round(seconds * self.clock_rate)).pack(), first)
