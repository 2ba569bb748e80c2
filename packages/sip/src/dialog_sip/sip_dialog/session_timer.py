"""Session timers (RFC 4028): a call whose peer vanished ends, as a table.

Theory of operation. A 2xx to INVITE or UPDATE agrees on an interval and on who refreshes. The refresher sends another
INVITE or UPDATE after half of it (section 10); each 2xx starts the time again. Whoever sees no refresh sends BYE at the
end less a third of the interval, 32 seconds at most: the refresher whose refresh fails as well. A 2xx without
Session-Expires turns the timer off.

An interval below what a party takes gets 422 with Min-SE (section 6); the caller asks again with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError
from dialog_sip.fields.session_expires import Refresher, SessionExpires, min_se_of, session_expires_of
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request, Response

TAG = "timer"
"""Option tag."""
LEAST = 90
"""Seconds: no Min-SE is below (section 4)."""
_LAST_MARGIN = 32.0


@dataclass(frozen=True, slots=True)
class SessionTimerSettings:
    """What we want (RFC 4028 sections 7 and 9). Times are seconds."""

    interval: int = 1800
    """The one that we ask for; 0: we ask for none, and go along with the peer's."""
    minimum: int = LEAST
    """Our Min-SE."""
    longest: int = 86_400
    """A 422 that wants more is not obeyed."""
    prefer: Refresher | None = None
    """Who is to refresh, where we choose. None: the caller, as the RFC recommends."""


class TimerState(StrEnum):
    """Where the timer stands (RFC 4028 section 10)."""

    OFF = "off"
    REFRESHER = "refresher"
    """We are to refresh."""
    REFRESHING = "refreshing"
    """The refresh is due, or on its way."""
    WATCHER = "watcher"
    """The peer is to refresh."""
    EXPIRED = "expired"
    """Send BYE."""
    ENDED = "ended"


class TimerEvent(StrEnum):
    """What moves it (RFC 4028 sections 7.2 and 10)."""

    OURS = "ours"
    """A 2xx agreed: we refresh."""
    THEIRS = "theirs"
    NONE = "none"
    """A 2xx without Session-Expires."""
    TIMER = "timer"
    END = "end"


_S, _E = TimerState, TimerEvent
_LIVE = (_S.OFF, _S.REFRESHER, _S.REFRESHING, _S.WATCHER)

TRANSITIONS: Final = {
    **{(state, _E.OURS): _S.REFRESHER for state in _LIVE},
    **{(state, _E.THEIRS): _S.WATCHER for state in _LIVE},
    **{(state, _E.NONE): _S.OFF for state in _LIVE},
    (_S.REFRESHER, _E.TIMER): _S.REFRESHING,
    (_S.REFRESHING, _E.TIMER): _S.EXPIRED,
    (_S.WATCHER, _E.TIMER): _S.EXPIRED,
    **{(state, _E.END): _S.ENDED for state in TimerState},
    # A 2xx that crosses our BYE.
    **{(state, event): state for state in (_S.EXPIRED, _S.ENDED) for event in (_E.OURS, _E.THEIRS, _E.NONE)},
}
"""State and event -> the state after it."""


class SessionTimer:
    """The session timer of one SIP dialog (RFC 4028 sections 7 to 10)."""

    def __init__(self, settings: SessionTimerSettings) -> None:
        self._settings = settings
        self._state = TimerState.OFF
        self._interval = settings.interval
        self._minimum = settings.minimum
        self._end = 0.0
        self.timer: float | None = None
        """When to call :meth:`handle_timer`."""

    @property
    def state(self) -> TimerState:
        """Where it stands."""
        return self._state

    @property
    def interval(self) -> int:
        """Seconds: what was agreed on, or what we ask for."""
        return self._interval

    def request_headers(self) -> list[tuple[str, HeaderValue]]:
        """Return the headers of our INVITE or UPDATE, without ``Supported: timer`` (sections 7.1 and 7.4)."""
        if not self._interval:
            return []
        role = {TimerState.REFRESHER: Refresher.UAC, TimerState.REFRESHING: Refresher.UAC}.get(self._state)
        if self._state is TimerState.WATCHER:
            role = Refresher.UAS
        headers: list[tuple[str, HeaderValue]] = [("Session-Expires", str(SessionExpires(self._interval, role)))]
        return [*headers, ("Min-SE", self._minimum)] if self._minimum > LEAST else headers

    def receive_response(self, response: Response, now: float) -> None:
        """Take the 2xx to our INVITE or UPDATE. Raises :class:`RemoteProtocolError` where it cannot be read."""
        agreed = session_expires_of(response)
        if agreed is None:
            self._apply(TimerEvent.NONE)
            return
        ours = agreed.refresher is not Refresher.UAS
        self._start(agreed.interval, TimerEvent.OURS if ours else TimerEvent.THEIRS, now)

    def adjust(self, response: Response) -> bool:
        """Take a 422: ask for more next time. False where that is more than we take, or no more than we asked for."""
        minimum = min_se_of(response)
        if minimum is None or not self._interval < minimum <= self._settings.longest:
            return False
        self._interval = self._minimum = minimum
        return True

    def refusal(self, request: Request) -> list[tuple[str, str]] | None:
        """Return the headers of the 422 that a request gets whose interval is too small; None where it is not.

        Only one who knows session timers is refused (section 9). Raises :class:`RemoteProtocolError`.
        """
        asked = session_expires_of(request)
        if asked is None or asked.interval >= self._settings.minimum or not request.headers.has_token("Supported", TAG):
            return None
        return [("Min-SE", str(self._settings.minimum))]

    def answer_headers(self, request: Request, now: float) -> list[tuple[str, HeaderValue]]:
        """Return the headers of our 2xx to an INVITE or UPDATE, and start the time (section 9)."""
        asked = session_expires_of(request)
        knows = request.headers.has_token("Supported", TAG)
        if asked is None and not self._settings.interval:
            self._apply(TimerEvent.NONE)
            return []
        interval = self._chosen(asked, min_se_of(request) or LEAST)
        refresher = Refresher.UAS
        if knows:
            refresher = (asked.refresher if asked else None) or self._settings.prefer or Refresher.UAC
        self._start(interval, TimerEvent.OURS if refresher is Refresher.UAS else TimerEvent.THEIRS, now)
        headers: list[tuple[str, HeaderValue]] = [("Session-Expires", str(SessionExpires(interval, refresher)))]
        return [*headers, ("Require", TAG)] if knows and refresher is Refresher.UAC else headers

    def handle_timer(self, now: float) -> TimerState:
        """Do what is due, and return the state: refresh in ``REFRESHING``, send BYE in ``EXPIRED``."""
        if self.timer is not None and now >= self.timer:
            self._apply(TimerEvent.TIMER)
            self.timer = max(self._end, now) if self._state is TimerState.REFRESHING else None
        return self._state

    def end(self) -> None:
        """Note the end of the SIP dialog."""
        self._apply(TimerEvent.END)

    def _chosen(self, asked: SessionExpires | None, least: int) -> int:
        wanted = self._settings.interval or (asked.interval if asked else 0)
        within = wanted if asked is None else min(wanted, asked.interval)
        return max(within, least, self._settings.minimum)

    def _start(self, interval: int, event: TimerEvent, now: float) -> None:
        self._interval = max(interval, 1)
        self._apply(event)
        self._end = now + self._interval - min(_LAST_MARGIN, self._interval / 3)
        due = {TimerState.REFRESHER: now + self._interval / 2, TimerState.WATCHER: self._end}
        self.timer = due.get(self._state)

    def _apply(self, event: TimerEvent) -> None:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
        self.timer = None
