"""One REGISTER on its way: sent, challenged, answered or not.

A challenge is answered within the same attempt: the request goes out again with credentials and keeps its place in
the pacer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dialog_sip import Response
from dialog_sip.digest import DigestClient
from dialog_sip.digest import Outcome as DigestOutcome
from dialog_sip.registration import Register, Registration
from dialog_sip.registration.answer import retry_after
from dialog_sip.transactions import Failure

from dialog_registrar.model import words
from dialog_registrar.model.engine import AT_A_TIME, Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.mapping import Server
from dialog_registrar.model.pacing import Outcome
from dialog_registrar.ports import RegisterTransaction

LONGEST_PAUSE = 30.0
"""Seconds that one 503 closes a server for; the next one does so again."""

FORBIDDEN = 403


@dataclass(slots=True)
class Attempt:
    """A REGISTER on its way."""

    entry: Entry
    registration: Registration
    register: Register
    sent_at: float
    transaction: RegisterTransaction | None = None
    """What sends it again until it is answered."""


class Attempts:
    """Takes REGISTERs from the engine and brings their answers back."""

    def __init__(self, engine: Engine, may_send: Callable[[int], bool]) -> None:
        self._engine = engine
        self._may_send = may_send
        self._on_their_way: dict[Entry, Attempt] = {}
        self.more = False
        """Whether :meth:`take` left some for the next turn."""

    def take(self, now: float) -> Iterator[Attempt]:
        """Yield the REGISTERs to send now. Each ends with :meth:`received` or :meth:`failed`."""
        self.more = False
        for number, entry in enumerate(self._engine.pacer.take(now), start=1):
            registration = entry.registration
            if registration is None or entry.dropped or not registration.wants_to_send:
                entry.asked = False
                self._engine.pacer.done(entry, Outcome.WITHDRAWN, now)
                self._engine.follow(entry)
            elif not self._may_send(entry.partition):
                self._engine.pacer.done(entry, Outcome.WITHDRAWN, now)
                self._engine.put_off(entry)
            else:
                yield self._begin(entry, registration, now)
            if number == AT_A_TIME:
                self.more = True
                return

    def hush_stuck(self) -> None:
        """Have what is overdue at a silent server sent no more: one probe after the other is enough."""
        for entry in self._engine.pacer.take_stuck():
            attempt = self._on_their_way.get(entry)
            if attempt is not None and attempt.transaction is not None:
                attempt.transaction.hush()

    def received(self, attempt: Attempt, response: Response, now: float) -> Register | None:
        """Take a final response. Returned is the next request of the same attempt, if there is one."""
        if self._on_their_way.get(attempt.entry) is not attempt:
            return None
        if attempt.entry.dropped:
            self._release(attempt, Outcome.ANSWERED, now)
            return None
        if response.code in {401, 407} and not self._may_send(attempt.entry.partition):
            self._hold_back(attempt, now)
            return None
        if response.code in {401, 407} and (again := self._answer(attempt, response, now)) is not None:
            return again
        self._conclude(attempt, response, now)
        return None

    def may_repeat(self, attempt: Attempt) -> bool:
        """Tell whether a REGISTER may be sent again, as it is."""
        return not attempt.entry.dropped and self._may_send(attempt.entry.partition)

    def failed(self, attempt: Attempt, failure: Failure, now: float) -> None:
        """Learn that no response will come."""
        entry, registration = attempt.entry, attempt.registration
        if self._on_their_way.get(entry) is not attempt:
            return
        since = self._engine.pacer.silent_since(entry.server)
        self._release(attempt, Outcome.SILENT, now)
        if entry.dropped:
            return
        if failure is Failure.TIMEOUT:
            moment = self._engine.moment()
            reason = words.silent(entry.server, moment.at(attempt.sent_at if since is None else since) or moment.wall)
        else:
            reason = words.broken(entry.server)
        registration.fail(reason, now, self._engine.jitter())
        self._engine.silence(entry)
        self._engine.follow(entry)

    def _begin(self, entry: Entry, registration: Registration, now: float) -> Attempt:
        register = registration.register(now)
        if entry.digest is not None and entry.password is not None:
            # A nonce that worked is used again: most refreshes are one transaction.
            register.authorize(entry.digest, entry.password.get_secret_value())
        attempt = self._on_their_way[entry] = Attempt(entry, registration, register, now)
        return attempt

    def _answer(self, attempt: Attempt, response: Response, now: float) -> Register | None:
        """Return the REGISTER with credentials, or None where that cannot help; then the response is final."""
        entry = attempt.entry
        if entry.password is None:
            return None
        entry.digest = entry.digest or DigestClient(entry.user)
        if entry.digest.learn(response) is not DigestOutcome.RETRY:
            return None
        cseq = attempt.registration.next_cseq(now)
        if cseq is None:
            return None
        attempt.register.cseq = cseq
        attempt.register.authorize(entry.digest, entry.password.get_secret_value())
        return attempt.register

    def _conclude(self, attempt: Attempt, response: Response, now: float) -> None:
        entry, registration = attempt.entry, attempt.registration
        if response.code == 503 and (seconds := retry_after(response)) is not None:
            self._engine.pacer.close(entry.server, now + min(seconds, LONGEST_PAUSE))
        self._release(attempt, Outcome.ANSWERED, now)
        registration.receive(response, now, self._engine.jitter())
        if response.code == FORBIDDEN:
            entry.digest = None  # It may be the nonce that was refused: the next attempt asks for another one.
        if response.is_success:
            entry.holdup, entry.predecessor = "", None
            if entry.digest is not None:
                entry.digest.note_success(response)
        elif registration.timer is not None:
            registration.reason = words.refused(entry.mapping, response.code, registration.last_phrase)
        self._engine.follow(entry)

    def _hold_back(self, attempt: Attempt, now: float) -> None:
        """Answer no challenge: the mapping may be another registrar's by now."""
        self._release(attempt, Outcome.ANSWERED, now)
        attempt.registration.fail(words.IN_DOUBT, now, self._engine.jitter())
        self._engine.follow(attempt.entry)

    def _release(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        attempt.entry.asked = False
        self._on_their_way.pop(attempt.entry, None)
        since = self._engine.pacer.silent_since(attempt.entry.server)
        if self._engine.pacer.done(attempt.entry, outcome, now):
            self._give_up_stuck(attempt.entry.server, now)
            self._engine.silence_ended(attempt.entry.server, since)

    def _give_up_stuck(self, server: Server, now: float) -> None:
        """Let those that were sent into a silence be tried anew: nothing sends them again."""
        for entry in self._engine.pacer.stuck(server):
            attempt = self._on_their_way.pop(entry, None)
            self._engine.pacer.done(entry, Outcome.WITHDRAWN, now)
            entry.asked = False
            if attempt is None or entry.dropped:
                continue
            if attempt.transaction is not None:
                attempt.transaction.cancel()
            attempt.registration.fail(words.silent(server, self._engine.moment().wall), now, self._engine.jitter())
            self._engine.silence(entry)
