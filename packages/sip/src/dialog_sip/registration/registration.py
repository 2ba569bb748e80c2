"""One registration (RFC 3261 section 10): it is told what happens and when, and says what to send and when to call it.

How to drive it, after each call: where :attr:`~Registration.wants_to_send` is true, find a place for a REGISTER and
take it from :meth:`~Registration.request`; where :attr:`~Registration.timer` is set, call
:meth:`~Registration.handle_timer` then. A challenge is answered below: ask :meth:`~Registration.next_cseq` for the
number of the request with credentials, and give the challenge to :meth:`~Registration.receive` where it cannot be
answered.
"""

from __future__ import annotations

import sys

from dialog_sip.errors import LocalProtocolError
from dialog_sip.grammar import readable
from dialog_sip.message import Request, Response
from dialog_sip.registration import answer, timing
from dialog_sip.registration.binding import Binding
from dialog_sip.registration.machine import (
    BEGINNING,
    IN_FLIGHT,
    KEEPING,
    TRANSITIONS,
    UNBINDING,
    WANTS_TO_SEND,
    Action,
    RegistrationEvent,
    RegistrationState,
)
from dialog_sip.registration.request import Register, build_register
from dialog_sip.registration.settings import Account, RegistrationSettings

MAX_REDIRECTS = 3
"""In a row; then it is a failure like others."""
_NO_OUTBOUND = 439
"""First Hop Lacks Outbound Support (RFC 5626 section 11.6)."""


class Registration:
    """The registration of one AOR (RFC 3261 section 10).

    Times are seconds of any one clock; ``jitter`` is a random number from 0 to 1.
    """

    __slots__ = ( "_account", "_also", "_cseq", "_delay", "_drop", "_expires", "_failures", "_limit",
    "_minimum_until", "_outbound", "_pending", "_redirects", "_settings", "_state", "_target", "binding", "call_id",
    "contact", "last_code", "last_phrase", "reason", "timer", )  # fmt: skip

    def __init__(
        self,
        account: Account,
        settings: RegistrationSettings,
        *,
        call_id: str,
        contact: str,
        cseq: int = 0,
        drop: tuple[str, ...] = (),
        also: tuple[str, ...] = (),
        before: tuple[float, ...] = (),
    ) -> None:
        """``drop``: Contacts of before whose bindings go; ``also``: others of ours that are bound with it.

        ``before``: the :meth:`sent_lately` of the agent whose registration this one goes on with.
        """
        self._account = account
        self._settings = settings
        self._state = RegistrationState.IDLE
        self._cseq = cseq
        self._drop = tuple(uri for uri in drop if uri != contact)
        self._also = also
        self._expires = settings.expires
        self._minimum_until: float | None = None
        self._outbound = settings.instance is not None
        self._target = account.registrar
        self._failures = self._redirects = 0
        self._delay: float | None = None
        self._pending: Binding | None = None
        self._limit = timing.SendLimit(before)
        self.call_id = call_id
        """The same for all REGISTERs (RFC 3261 section 10.2)."""
        self.contact = contact
        """The URI that we bind."""
        self.binding: Binding | None = None
        """The last grant; it may have lapsed since."""
        self.timer: float | None = None
        """When to call :meth:`handle_timer`."""
        self.last_code: int | None = None
        """Code of the last answer; None after a failure without one."""
        self.last_phrase = ""
        self.reason = ""
        """Why it stands where it stands, in words."""

    @property
    def state(self) -> RegistrationState:
        """Where it stands."""
        return self._state

    @property
    def cseq(self) -> int:
        """The last CSeq that was used."""
        return self._cseq

    @property
    def wants_to_send(self) -> bool:
        """Whether :meth:`request` is to be called as soon as there is a place."""
        return self._state in WANTS_TO_SEND and self.timer is None

    def sent_lately(self, now: float) -> tuple[float, ...]:
        """Return when the transactions began that the limit counts now: who takes over has to count them as well."""
        return self._limit.recent(now)

    def is_bound(self, now: float) -> bool:
        """Tell whether the PBX holds a binding of ours, as far as we know."""
        return self.binding is not None and now < self.binding.expires_at

    def is_steady(self, now: float) -> bool:
        """Tell whether the binding is good and is kept good, nothing having gone wrong since it was granted."""
        return self._state in KEEPING and not self.reason and self.is_bound(now)

    @property
    def is_beginning(self) -> bool:
        """True while the first REGISTER waits for its turn or its answer, nothing having gone wrong yet."""
        return self._state in BEGINNING and self.binding is None and not self.reason

    def start(self, now: float) -> None:
        """Register; or, where that failed before, try again now."""
        self._apply(RegistrationEvent.START, now)

    def stop(self, now: float) -> None:
        """Unregister (RFC 3261 section 10.2.2)."""
        self._apply(RegistrationEvent.STOP, now)

    def resume(self, binding: Binding, now: float, jitter: float) -> None:
        """Go on with a binding from before a restart. Nothing is sent while it is good."""
        self.binding = binding
        self._apply(RegistrationEvent.RESUME, now, jitter)

    def move(self, contact: str, now: float, delay: float = 0.0) -> None:
        """Bind another Contact from now on, or within ``delay``; the old binding is dropped with the same REGISTER."""
        if contact != self.contact:
            self._drop = (*(uri for uri in self._drop if uri != contact), self.contact)
            self.contact = contact
        self.refresh(now, delay)

    def refresh(self, now: float, delay: float = 0.0) -> None:
        """Renew the binding now, if there is to be one; or, where it is good, ``delay`` from now at the latest."""
        if delay > 0 and self._state is RegistrationState.REGISTERED and self.timer is not None:
            self.timer = min(self.timer, now + delay)
        else:
            self._apply(RegistrationEvent.REFRESH, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due; nothing before :attr:`timer`."""
        if self.timer is None or now < self.timer:
            return
        lapsed = self._state is RegistrationState.DEPARTING and not self.is_bound(now)
        self._apply(RegistrationEvent.LAPSED if lapsed else RegistrationEvent.TIMER, now)

    def request(self, now: float) -> Request:
        """Do as :meth:`register`, and return a message."""
        return self.register(now).request()

    def register(self, now: float) -> Register:
        """Return the REGISTER to send now. Raises :class:`LocalProtocolError` where none is wanted."""
        if not self.wants_to_send:
            raise LocalProtocolError(f"no REGISTER is wanted while {self._state}")
        leaves = self._state in UNBINDING
        if self._minimum_until is not None and now >= self._minimum_until:
            self._expires, self._minimum_until = self._settings.expires, None
        self._apply(RegistrationEvent.SENT, now)
        self._cseq += 1
        self._limit.note(now)
        return build_register(
            self._account,
            target=self._target,
            call_id=self.call_id,
            cseq=self._cseq,
            contact=self.contact,
            expires=0 if leaves else self._expires,
            drop=self._drop,
            instance=self._settings.instance if self._outbound else None,
            reg_id=self._settings.reg_id,
            also=self._also,
            user_agent=self._settings.user_agent,
        )

    def next_cseq(self, now: float) -> int | None:
        """Return the CSeq for the same REGISTER with credentials; None where one more now would be too many."""
        if self._state not in IN_FLIGHT:
            raise LocalProtocolError(f"no REGISTER is on its way while {self._state}")
        if not self._limit.allows_retry(now):
            return None
        self._limit.note(now)
        self._cseq += 1
        return self._cseq

    def receive(self, response: Response, now: float, jitter: float) -> None:
        """Take the final answer to the REGISTER on its way."""
        # One string for all registrations that heard the same.
        self.last_code, self.last_phrase = response.code, sys.intern(readable(response.phrase))
        event, self.reason = self._judge(response, now, jitter)
        self._apply(event, now, jitter)

    def fail(self, reason: str, now: float, jitter: float) -> None:
        """Note that there is no answer: timeout, or no way to send."""
        self.last_code, self.last_phrase, self.reason = None, "", reason
        self._apply(RegistrationEvent.FAILED, now, jitter)

    def _judge(self, response: Response, now: float, jitter: float) -> tuple[RegistrationEvent, str]:
        if response.is_success:
            return self._judge_success(response)
        said = f"the PBX answered {response.code} {self.last_phrase}"
        if response.code == 423 and (minimum := self._acceptable_minimum(response)):
            self._expires, self._minimum_until = minimum, now + self._settings.remember_minimum
            return RegistrationEvent.ADJUSTED, f"the PBX wants at least {minimum} seconds"
        if response.code // 100 == 3 and (target := answer.redirect(response)) and self._redirects < MAX_REDIRECTS:
            self._redirects += 1
            self._target = target
            return RegistrationEvent.ADJUSTED, f"the PBX sent us on to {target}"
        if response.code == _NO_OUTBOUND and self._outbound:
            self._outbound = False
            return RegistrationEvent.ADJUSTED, "the way to the PBX does not know outbound"
        seconds = answer.retry_after(response)
        if seconds is not None:
            self._delay = timing.retry_after_delay(self._settings, seconds, jitter)
        return answer.event_of_failure(response.code), said

    def _judge_success(self, response: Response) -> tuple[RegistrationEvent, str]:
        if self._state in {RegistrationState.UNREGISTERING, RegistrationState.RESTARTING}:
            return RegistrationEvent.ACCEPTED, ""
        sent = self._limit.last or 0.0
        if not self._also and (plain := answer.plain_grant(response, self.contact)):
            self._pending = Binding(plain, sent, sent + plain)
            return RegistrationEvent.ACCEPTED, ""
        granted = self._granted(response)
        if not granted:
            return RegistrationEvent.FAILED, "the PBX accepted the REGISTER but holds no binding of ours"
        self._pending = Binding(
            granted,
            sent,
            sent + granted,
            answer.service_routes(response),
            answer.path(response),
            answer.flow_timer(response),
            answer.is_outbound(response),
            answer.others(response, (self.contact, *self._also), self._drop),
        )
        return RegistrationEvent.ACCEPTED, ""

    def _granted(self, response: Response) -> int | None:
        """Return the shortest grant of our Contacts; None where the one that counts is not bound."""
        granted = answer.granted_expires(response, self.contact, self._expires, self._drop)
        more = [answer.granted_expires(response, uri, self._expires, self._drop) for uri in self._also]
        return granted and min([granted, *(one for one in more if one)])

    def _acceptable_minimum(self, response: Response) -> int | None:
        minimum = answer.minimum_expires(response)
        if minimum is None or not self._expires < minimum <= self._settings.longest_expires:
            return None
        return minimum

    def _apply(self, event: RegistrationEvent, now: float, jitter: float = 1.0) -> None:
        if (
            event is RegistrationEvent.FAILED
            and self._state in {RegistrationState.LEAVING, RegistrationState.UNREGISTERING}
            and not self.is_bound(now)
        ):
            event = RegistrationEvent.LAPSED
        row = TRANSITIONS.get((self._state, event))
        if row is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        state, actions = row
        if state is not self._state or actions:
            self.timer = None
        self._state = state
        for action in actions:
            self._do(action, now, jitter)

    def _do(self, action: Action, now: float, jitter: float) -> None:
        match action:
            case Action.SEND:
                allowed = self._limit.next_attempt(now)
                self.timer = allowed + self._apart() if allowed > now else None
            case Action.BIND:
                self._bind()
            case Action.UNBIND:
                self.binding = None
            case Action.SCHEDULE_REFRESH:
                self._schedule_refresh(now, jitter)
            case Action.BACK_OFF | Action.BACK_OFF_SLOWLY:
                self._back_off(now, jitter, slowly=action is Action.BACK_OFF_SLOWLY)

    def _apart(self) -> float:
        """Return how much later than others this one comes: what began together is not held back to one moment."""
        return timing.spread_by(f"{self.call_id}{self._cseq}", timing.LIMIT_SPREAD)

    def _bind(self) -> None:
        self.binding, self._pending = self._pending, None
        self._drop = ()
        self._failures = self._redirects = 0

    def _schedule_refresh(self, now: float, jitter: float) -> None:
        if self.binding is None:
            raise LocalProtocolError("there is no binding to refresh")
        delay = timing.refresh_delay(self.binding.granted, self._settings.interval, jitter)
        self.timer = max(now, self.binding.registered_at + delay)

    def _back_off(self, now: float, jitter: float, *, slowly: bool) -> None:
        self._failures += 1
        self._redirects = 0
        self._target = self._account.registrar
        delay = timing.backoff_delay(self._settings, self._failures, jitter, slowly=slowly)
        if self.binding is not None and self.is_bound(now) and self._state not in UNBINDING:
            delay = timing.within_the_grant(delay, self.binding.expires_at - now)
        told, self._delay = self._delay, None
        self.timer = now + (delay if told is None else max(told, 1.0))
