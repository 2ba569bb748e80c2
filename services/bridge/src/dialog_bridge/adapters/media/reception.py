"""What arrived from one source, counted as RFC 3550 appendix A.1, A.3 and A.8 count it."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_bridge.adapters.media.rtp import MAX_DROPOUT, MAX_MISORDER


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """One reception report block (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


class Reception:
    """Counts the packets of one direction, over all sources that it ever had.

    Times are seconds of a monotonic clock. :attr:`packets` and :attr:`lost` are of the whole call.
    """

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_before",
        "_highest",
        "_jitter",
        "_lost_before",
        "_received",
        "_received_before",
        "_sr",
        "_sr_at",
        "_transit",
        "last_at",
        "packets",
        "ssrc",
    )

    def __init__(self) -> None:
        self.packets = 0
        self.last_at: float | None = None
        """When the last packet came."""
        self.ssrc: int | None = None
        self._lost_before = 0
        self._sr = 0
        self._sr_at: float | None = None
        self._base = self._highest = 0
        self._cycles = self._received = 0
        self._expected_before = self._received_before = 0
        self._transit = self._jitter = 0.0

    @property
    def lost(self) -> int:
        """Packets that never came; duplicates count against it (RFC 3550 appendix A.3)."""
        return self._lost_before + max(0, self._lost_now())

    def received(self, ssrc: int, sequence: int, timestamp: int, clock_rate: int, now: float) -> None:
        """Count one packet."""
        step = (sequence - self._highest) & 0xFFFF
        if ssrc != self.ssrc or MAX_DROPOUT <= step <= 0xFFFF - MAX_MISORDER:
            self._change_source(ssrc, sequence)
        elif step < MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 0x10000
            self._highest = sequence
        transit = now * clock_rate - timestamp
        self._jitter += (min(abs(transit - self._transit), clock_rate) - self._jitter) / 16 if self._received else 0.0
        self._transit = transit
        self._received += 1
        self.packets += 1
        self.last_at = now

    def sender_report(self, ssrc: int, ntp_middle: int, now: float) -> None:
        """Note a sender report of the source, so that it can measure its round trip (RFC 3550 section 6.4.1, LSR)."""
        if ssrc == self.ssrc:
            self._sr = ntp_middle
            self._sr_at = now

    def report(self, now: float) -> ReportBlock | None:
        """Return the next report about the source, or None where there is none. Starts a new interval."""
        if self.ssrc is None:
            return None
        expected = self._expected()
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self._received - self._received_before)
        self._expected_before = expected
        self._received_before = self._received
        delay = 0 if self._sr_at is None else int((now - self._sr_at) * 65536) & 0xFFFFFFFF
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=0 if expected_now <= 0 or lost_now <= 0 else (lost_now << 8) // expected_now & 0xFF,
            lost=max(-0x800000, min(0x7FFFFF, self._lost_now())),
            highest_sequence=self._cycles + self._highest,
            jitter=int(self._jitter),
            last_sr=self._sr,
            delay_since_last_sr=delay,
        )

    def _change_source(self, ssrc: int, sequence: int) -> None:
        self._lost_before = self.lost
        if ssrc != self.ssrc:
            self.ssrc = ssrc
            self._sr = 0
            self._sr_at = None
        self._start(sequence)

    def _start(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._cycles = self._received = 0
        self._expected_before = self._received_before = 0
        self._transit = self._jitter = 0.0

    def _expected(self) -> int:
        return self._cycles + self._highest - self._base + 1 if self._received else 0

    def _lost_now(self) -> int:
        return self._expected() - self._received
