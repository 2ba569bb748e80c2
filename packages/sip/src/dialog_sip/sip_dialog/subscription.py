"""What a REFER brings about: reports on the call that it asked for (RFC 3515, 4488, 6665), as two tables.

Theory of operation. A REFER that is accepted makes a subscription to its own outcome, without SUBSCRIBE. The one who
was asked sends NOTIFYs with a status line as their body, the first at once (*100 Trying*), the last with the final
response and *terminated*. With ``Refer-Sub: false`` on both sides there is none of that. A NOTIFY may overtake the
202; it makes the subscription all the same (RFC 6665 section 4.1.2.4). Subscriptions end with their last NOTIFY, with
their time, with a 481, or with the SIP dialog; a REFER whose first NOTIFY does not come within 64*T1 (Timer N) is
over too.

NOTIFYs go out one at a time. What happens meanwhile is reported when the last one was answered, and only the newest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.refer_to import wants_no_subscription
from dialog_sip.fields.subscription_state import (
    EventPackage,
    Progress,
    SubscriptionState,
    Substate,
    progress_of,
)
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request, Response

PACKAGE = "refer"
"""Event package (RFC 3515 section 2.4.4)."""
TIMER_N = 32.0
"""Seconds until the first NOTIFY has to be there: 64*T1 (RFC 6665 section 4.1.2)."""
LIFETIME = 180
"""Seconds that a subscription lasts, longer than a phone rings (RFC 3515 section 2.4.4)."""


class SubscriberState(StrEnum):
    """Where the one who sent REFER stands (RFC 3515 section 2.4.4, RFC 6665 section 4.1)."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    """2xx, and no NOTIFY yet."""
    ACTIVE = "active"
    OVER = "over"


class SubscriberEvent(StrEnum):
    """What moves it (RFC 6665 section 4.1)."""

    ACCEPT = "accept"
    ACCEPT_SILENTLY = "accept-silently"
    """2xx with ``Refer-Sub: false``: no NOTIFY will come."""
    REFUSE = "refuse"
    NOTIFY = "notify"
    LAST_NOTIFY = "last-notify"
    TIMER = "timer"
    END = "end"
    """The SIP dialog is over."""


_S, _E = SubscriberState, SubscriberEvent

SUBSCRIBER: Final = {
    (_S.ASKED, _E.ACCEPT): _S.ACCEPTED,
    (_S.ASKED, _E.ACCEPT_SILENTLY): _S.OVER,
    (_S.ASKED, _E.REFUSE): _S.OVER,
    (_S.ASKED, _E.NOTIFY): _S.ACTIVE,
    (_S.ASKED, _E.LAST_NOTIFY): _S.OVER,
    (_S.ACCEPTED, _E.NOTIFY): _S.ACTIVE,
    (_S.ACCEPTED, _E.LAST_NOTIFY): _S.OVER,
    (_S.ACCEPTED, _E.TIMER): _S.OVER,
    (_S.ACTIVE, _E.ACCEPT): _S.ACTIVE,
    (_S.ACTIVE, _E.ACCEPT_SILENTLY): _S.ACTIVE,
    (_S.ACTIVE, _E.REFUSE): _S.OVER,
    (_S.ACTIVE, _E.NOTIFY): _S.ACTIVE,
    (_S.ACTIVE, _E.LAST_NOTIFY): _S.OVER,
    (_S.ACTIVE, _E.TIMER): _S.OVER,
    **{(state, _E.END): _S.OVER for state in SubscriberState},
    **{(_S.OVER, event): _S.OVER for event in (_E.ACCEPT, _E.ACCEPT_SILENTLY, _E.REFUSE)},
}
"""State and event -> the state after it, for who sent the REFER."""


class ReferSubscriber:
    """The side that sent REFER (RFC 3515 section 2.4.4). ``cseq``: the number of that REFER, which its NOTIFYs name."""

    def __init__(self, cseq: int) -> None:
        self.cseq = cseq
        self._state = SubscriberState.ASKED
        self.timer: float | None = None
        """When to call :meth:`handle_timer`."""
        self.progress: Progress | None = None
        """The last report."""

    @property
    def state(self) -> SubscriberState:
        """Where it stands."""
        return self._state

    def receive_response(self, response: Response, now: float) -> None:
        """Take a final response to the REFER; provisional ones say nothing."""
        if response.is_provisional:
            return
        if not response.is_success:
            self._apply(SubscriberEvent.REFUSE, None)
            return
        silent = wants_no_subscription(response)
        timer = self.timer if self._state is SubscriberState.ACTIVE else now + TIMER_N
        self._apply(SubscriberEvent.ACCEPT_SILENTLY if silent else SubscriberEvent.ACCEPT, timer)

    def matches(self, event: EventPackage) -> bool:
        """Tell whether a NOTIFY is for this REFER; the first REFER's may leave the number out (RFC 3515 2.4.6)."""
        return event.package == PACKAGE and event.id in {None, str(self.cseq)}

    def receive_notify(self, notify: Request, now: float) -> Progress | None:
        """Take a NOTIFY, to be answered with 200; return what it reports.

        Raises :class:`RemoteProtocolError` with what to answer: 481 after the end, 400 without Subscription-State.
        """
        if self._state is SubscriberState.OVER:
            raise RemoteProtocolError(
                "no such subscription", status=481, reason="Subscription Does Not Exist", request=notify
            )
        state = SubscriptionState.parse(notify.headers.get("Subscription-State") or "")
        last = state.state is Substate.TERMINATED
        until = None if last else now + (LIFETIME if state.expires is None else state.expires)
        self._apply(SubscriberEvent.LAST_NOTIFY if last else SubscriberEvent.NOTIFY, until)
        self.progress = progress_of(notify) or self.progress
        return progress_of(notify)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.timer is not None and now >= self.timer:
            self._apply(SubscriberEvent.TIMER, None)

    def end(self) -> None:
        """Note the end of the SIP dialog."""
        self._apply(SubscriberEvent.END, None)

    def _apply(self, event: SubscriberEvent, timer: float | None) -> None:
        following = SUBSCRIBER.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
        self.timer = None if following is SubscriberState.OVER else timer


class NotifierState(StrEnum):
    """Where the one who got REFER stands (RFC 3515 section 2.4.4, RFC 6665 section 4.2)."""

    IDLE = "idle"
    SENDING = "sending"
    """A NOTIFY waits for its answer."""
    ENDING = "ending"
    """The last one does."""
    OVER = "over"


class NotifierEvent(StrEnum):
    """What moves it (RFC 6665 section 4.2)."""

    REPORT = "report"
    LAST_REPORT = "last-report"
    ANSWERED = "answered"
    REFUSED = "refused"
    """481, or no answer: nobody is there (RFC 6665 section 4.2.2)."""
    EXPIRE = "expire"
    END = "end"


_N, _V = NotifierState, NotifierEvent

NOTIFIER: Final = {
    (_N.IDLE, _V.REPORT): _N.SENDING,
    (_N.IDLE, _V.LAST_REPORT): _N.ENDING,
    (_N.IDLE, _V.EXPIRE): _N.ENDING,
    (_N.SENDING, _V.ANSWERED): _N.IDLE,
    (_N.SENDING, _V.REFUSED): _N.OVER,
    (_N.SENDING, _V.EXPIRE): _N.OVER,
    (_N.ENDING, _V.ANSWERED): _N.OVER,
    (_N.ENDING, _V.REFUSED): _N.OVER,
    **{(state, _V.END): _N.OVER for state in NotifierState},
    **{(_N.OVER, event): _N.OVER for event in (_V.ANSWERED, _V.REFUSED, _V.EXPIRE)},
}
"""State and event -> the state after it, for who got the REFER."""


class Report(NamedTuple):
    """A NOTIFY to be sent (RFC 3515 section 2.4.5), but for the SIP dialog's own headers."""

    headers: tuple[tuple[str, HeaderValue], ...]
    body: bytes


class ReferNotifier:
    """The side that accepted a REFER of number ``cseq`` at ``now`` (RFC 3515 section 2.4.4).

    Send what its methods return, one at a time.
    """

    def __init__(self, cseq: int, now: float, lifetime: int = LIFETIME) -> None:
        self.cseq = cseq
        self._state = NotifierState.IDLE
        self._expires_at = now + lifetime
        self._pending: Progress | None = None
        self._last: Progress = Progress(100)

    @property
    def state(self) -> NotifierState:
        """Where it stands."""
        return self._state

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        return self._expires_at if self._state in {NotifierState.IDLE, NotifierState.SENDING} else None

    def report(self, progress: Progress, now: float) -> Report | None:
        """Report; None where it waits for the answer to the last NOTIFY, or nobody listens any more."""
        if self._state is NotifierState.SENDING:
            self._pending = progress
            return None
        if self._state is not NotifierState.IDLE:
            return None
        self._apply(NotifierEvent.LAST_REPORT if progress.is_final else NotifierEvent.REPORT)
        self._last = progress
        if progress.is_final:
            return self._report(progress, SubscriptionState(Substate.TERMINATED, reason="noresource"))
        left = max(0, round(self._expires_at - now))
        return self._report(progress, SubscriptionState(Substate.ACTIVE, left))

    def receive_response(self, response: Response, now: float) -> Report | None:
        """Take a final response to the NOTIFY; return the next one, if something happened meanwhile."""
        if response.is_provisional:
            return None
        self._apply(NotifierEvent.ANSWERED if response.is_success else NotifierEvent.REFUSED)
        pending, self._pending = self._pending, None
        return None if pending is None else self.report(pending, now)

    def handle_timer(self, now: float) -> Report | None:
        """Do what is due: end the subscription with a last NOTIFY, unless one is on its way that nobody answers."""
        if self.timer is None or now < self.timer:
            return None
        self._apply(NotifierEvent.EXPIRE)
        if self._state is NotifierState.OVER:
            return None
        return self._report(self._last, SubscriptionState(Substate.TERMINATED, reason="timeout"))

    def end(self) -> None:
        """Note the end of the SIP dialog."""
        self._apply(NotifierEvent.END)

    def _report(self, progress: Progress, state: SubscriptionState) -> Report:
        event = EventPackage(PACKAGE, str(self.cseq))
        return Report((("Event", str(event)), ("Subscription-State", str(state))), progress.fragment())

    def _apply(self, event: NotifierEvent) -> None:
        following = NOTIFIER.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
