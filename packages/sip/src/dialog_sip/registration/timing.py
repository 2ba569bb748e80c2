"""When to send (RFC 3261 sections 10.2.4 and 10.2.7): refreshes, backoff, and the limit that always holds.

``jitter`` is a random number from 0 to 1.
"""

from __future__ import annotations

import zlib

from dialog_sip.registration.settings import RegistrationSettings

LIMIT = 6
"""REGISTER transactions within :data:`LIMIT_PERIOD`, challenges and their answers included."""
LIMIT_PERIOD = 21.0
"""Seconds: the PBX is promised 20, and REGISTERs are not all equally long on their way."""
ATTEMPT = 2
"""Transactions of an attempt, its challenge answered: one begins only where there is room for both."""
_SPREAD = 0.2
"""Part of the waiting time over which refreshes are spread, so that what began together does not stay together."""
_MARGIN = 0.15
"""Part of the grant that is left for a refresh to succeed in: retransmissions, a challenge, another attempt."""
_LONGEST_MARGIN = 120.0
_USUAL_MARGIN = 5.0
_SHORTEST_WAIT = 1.0
_SHORTEST_RETRY = 2.0
"""Seconds between attempts to save a binding that is about to end."""
_USUAL_WAIT = 10.0
_SHORT_MARGIN = 0.3
_SHORTEST_GRANT = 5.0
"""What is granted for less is refreshed as if it were for so many seconds, and lapses."""
_SHORTEST_SPREAD = 2.0
_REPAIRS = 100
"""Users a second that are bound anew after a flow was lost or a PBX restarted."""
_MANY_REPAIRS = 1250
_SHORTEST_REPAIR = 4.0
LIMIT_SPREAD = 4.0
"""Seconds over which those that the limit holds back together come again."""


def refresh_delay(granted: float, interval: float, jitter: float) -> float:
    """Return how long after a grant of so many seconds to refresh (RFC 3261 section 10.2.4).

    Before it ends, and within the interval.
    """
    margin = min(max(granted * _MARGIN, min(_USUAL_MARGIN, granted * _SHORT_MARGIN)), _LONGEST_MARGIN)
    latest = min(granted - margin, interval)
    if latest < _USUAL_WAIT and latest < interval:
        # A fifth of so little spreads nothing, and what is shorter still cannot be kept up with within the limit.
        longest = max(latest, _SHORTEST_GRANT)
        shortest = min(longest - _SHORTEST_SPREAD, LIMIT_PERIOD / (LIMIT - 1))
        return min(shortest + (longest - shortest) * jitter, interval)
    return latest * (1 - _SPREAD * (1 - jitter))


def spread_by(text: str, seconds: float) -> float:
    """Return a time from 0 to ``seconds`` that is always the same for ``text``, and another for others.

    It serves RFC 3261 section 10.2.7.
    """
    return zlib.crc32(text.encode()) / 2**32 * seconds


def repair_period(users: int) -> float:
    """Return over how many seconds to spread the REGISTERs that bind so many users of one PBX anew.

    No RFC names a rate; it serves RFC 5626 section 4.5.

    A hundred a second while they are few, 1,250 where they are many, and never all of many in one second.
    """
    return min(users / _REPAIRS, max(_SHORTEST_REPAIR, users / _MANY_REPAIRS))


def backoff_delay(settings: RegistrationSettings, failures: int, jitter: float, *, slowly: bool) -> float:
    """Return how long to wait after so many failures in a row (RFC 3261 section 10.2.7).

    Full jitter below a bound that doubles, then stays.
    """
    first, longest = (
        (settings.slow_backoff, settings.longest_slow_backoff)
        if slowly
        else (settings.backoff, settings.longest_backoff)
    )
    # The exponent is bounded: 2.0**1100 overflows, and failures may go on for years.
    return max(_SHORTEST_WAIT, jitter * min(first * 2.0 ** min(failures - 1, 32), longest))


def within_the_grant(delay: float, left: float) -> float:
    """Shorten a wait so that a binding with ``left`` seconds to go gets another chance before it ends.

    It serves RFC 3261 section 10.2.4.

    What refuses a refresh may pass as well: credentials that were right a minute ago are seldom wrong now.
    """
    return min(delay, max(left / 2, _SHORTEST_RETRY))


def retry_after_delay(settings: RegistrationSettings, seconds: float, jitter: float) -> float:
    """Return how long to wait where the PBX said how long (RFC 3261 section 20.33), spread a little beyond."""
    return min(seconds, settings.longest_retry_after) * (1 + _SPREAD * jitter)


class SendLimit:
    """Never more than :data:`LIMIT` transactions in any :data:`LIMIT_PERIOD` seconds.

    No RFC names a bound; it serves RFC 3261 section 10.2.7.

    ``before`` are those of the agent whose registration this one goes on with, the first one first.
    """

    __slots__ = ("_times",)

    def __init__(self, before: tuple[float, ...] = ()) -> None:
        self._times = before

    @property
    def last(self) -> float | None:
        """When the last transaction began."""
        return self._times[-1] if self._times else None

    def note(self, now: float) -> None:
        """Count a transaction that begins now."""
        self._times = (*self.recent(now), now)[-LIMIT:]

    def allows_retry(self, now: float) -> bool:
        """Tell whether one more transaction of the same attempt may begin."""
        return len(self.recent(now)) < LIMIT

    def next_attempt(self, now: float) -> float:
        """Return when an attempt may begin: ``now``, or later."""
        recent = self.recent(now)
        surplus = len(recent) - (LIMIT - ATTEMPT)
        return now if surplus <= 0 else recent[surplus - 1] + LIMIT_PERIOD

    def recent(self, now: float) -> tuple[float, ...]:
        """Return when those began that count now, the first one first."""
        # One that is exactly a period old is over; the comparison is the same sum as in next_attempt.
        times = self._times
        if not times or times[0] + LIMIT_PERIOD > now:
            return times
        return tuple([time for time in times if time + LIMIT_PERIOD > now])


def with_untold(told: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Return what counts of an agent that is no more: what it told, and an attempt that it may not have told of.

    No RFC names a bound; it serves RFC 3261 section 10.2.7.

    That was begun now at the latest, and by an agent that keeps to the limit as well.
    """
    recent = SendLimit(tuple(sorted(min(time, now) for time in told))).recent(now)
    return (*recent, *(now,) * max(0, min(ATTEMPT, LIMIT - len(recent))))
