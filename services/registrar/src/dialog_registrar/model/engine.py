"""Every registration of this process: what rows, passwords, flows, answers and time make of it.

Theory of operation. An entry (``model/entry.py``) is what is known of a mapping; its machine
(``dialog_sip.registration``) knows what to send and when to be woken. Whatever happens to an entry ends in
:meth:`Engine.settle`, which brings it a step nearer to what its row asks for, and in ``_follow``, which does what the
machine wants: a place in the pacer (``model/pacing.py``), a timer in the one heap for all, a status to publish.
Nothing here waits, sends or reads: :attr:`pacer` says which REGISTERs may go, :attr:`flows`, :attr:`unread`,
:attr:`leaving` and :attr:`news` say what others have to do.

A mapping in five steps: :meth:`upsert` (the row), :meth:`password_read` and :meth:`flow_up` (what it needs),
:meth:`take` and ``model/attempts.py`` (the REGISTER and its answer), :meth:`wake` (the refresh).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from dialog_schemas.registrations import RegistrationStatus
from dialog_sip.registration import Registration, RegistrationSettings
from dialog_sip.registration.timing import repair_period
from pydantic import SecretStr

from dialog_registrar.model import words
from dialog_registrar.model.continuing import new_registration, port_hint
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.flows import FlowBook
from dialog_registrar.model.holdings import Holdings
from dialog_registrar.model.leaving import Leaving
from dialog_registrar.model.mapping import Mapping, Server, unusable
from dialog_registrar.model.news import News
from dialog_registrar.model.pacing import Pacer
from dialog_registrar.model.status import Moment
from dialog_registrar.model.timers import Timers

READ_AGAIN = 30.0
"""Seconds after which a password without a row is looked for again."""
PATIENCE = 10.0
"""Seconds that a REGISTER waits for its turn before the status says why."""
AT_A_TIME = 1000
"""Mappings that one turn sees to: all of 100,000 in one would take so long that Kafka gave their partitions away."""
RESTART_WITHIN = 4.0
"""Seconds of silence in which a PBX may have been started anew."""


class Engine:
    """All registrations.

    ``new_call_id`` makes Call-IDs; ``moment`` tells what time it is on both clocks, ``now`` on the first of them.
    """

    def __init__(
        self,
        settings: RegistrationSettings,
        pacer: Pacer[Server, Entry],
        moment: Callable[[], Moment],
        *,
        instance: str,
        new_call_id: Callable[[], str],
        rng: Random,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.pacer = pacer
        self.moment = moment
        self.instance = instance
        self.holdings = Holdings()
        self.flows = FlowBook()
        self.unread: dict[str, Mapping] = {}
        """Mappings whose password has to be read."""
        self.leaving = Leaving(moment)
        self.news = News()
        """Statuses to publish."""
        self._timers: Timers[Entry] = Timers()
        self._silenced: dict[Server, set[Entry]] = {}
        self._new_call_id = new_call_id
        self.now = now or (lambda: moment().now)
        """Returns the time of the clock that everything here runs by."""
        self._rng = rng

    # Rows.

    def upsert(self, mapping: Mapping, partition: int, predecessor: RegistrationStatus | None = None) -> None:
        """Take a row as it is now."""
        entry = self.holdings.get(mapping.aor)
        if entry is None:
            entry = Entry(mapping, partition, predecessor=predecessor)
            self.holdings.add(entry)
        elif entry.mapping == mapping and not entry.gone and not entry.rejected:
            return
        elif entry.server != mapping.server or entry.mapping.user != mapping.user:
            entry = self._succeed(entry, mapping)
        self.leaving.came_back(entry)
        entry.mapping, entry.rejected = mapping, ""
        self._want(entry)
        if entry.wants_binding:
            # Not before the password of this revision is there: an old one would only be refused.
            (self.news.tell if entry.published else self.news.tell_some_time)(entry)
        else:
            self.settle(entry)

    def reject(
        self, aor: str, reason: str, revision: str, partition: int, predecessor: RegistrationStatus | None = None
    ) -> None:
        """Take a row that cannot be used: it is not registered, and the status says why."""
        entry = self.holdings.get(aor)
        if entry is None:
            entry = Entry(unusable(aor, revision), partition, predecessor=predecessor)
            self.holdings.add(entry)
        self.leaving.came_back(entry)
        entry.mapping, entry.rejected = entry.mapping._replace(revision=revision), reason
        self.settle(entry)

    def delete(self, aor: str, partition: int, predecessor: RegistrationStatus | None = None) -> None:
        """Take the end of a row: unregister, then forget."""
        entry = self.holdings.get(aor)
        if entry is None:
            entry = Entry(unusable(aor, ""), partition, predecessor=predecessor)
            self.holdings.add(entry)
        self.unread.pop(aor, None)
        self.leaving.begin(entry)
        self.settle(entry)

    def left_read(self, aor: str, row: tuple[Mapping, SecretStr] | None) -> None:
        """Take what a row was that is gone; where nobody knows, its binding ends by itself."""
        entry = self.leaving.unread.pop(aor, None)
        if entry is not None and row is None:
            self._hold_up(entry, words.left(entry.predecessor))
        elif entry is not None and row is not None:
            self.holdings.move(entry, row[0])
            entry.password, entry.holdup = row[1], ""
            self.flows.want(entry.server, port_hint(entry.predecessor, self.instance))
            self.settle(entry)

    def revoke(self, partition: int) -> None:
        """Let a partition go to another registrar: nothing is sent and nothing published for it any more."""
        for entry in self.holdings.of(partition):
            self._drop(entry)
            self.unread.pop(entry.aor, None)
            self.holdings.depart(entry, self.now())
            self._leave_flow(entry.server)
        self.news.drop(partition)

    # What entries need.

    def password_read(self, aor: str, revision: str, password: SecretStr) -> None:
        """Take the password of a row; that of an older revision is not the one that is wanted."""
        entry = self.holdings.get(aor)
        if entry is None or entry.mapping.revision != revision:
            return
        changed = entry.password is not None and entry.password != password
        entry.password, entry.holdup = password, ""
        self.settle(entry)
        if changed:
            entry.digest = None
            self._refresh(entry)

    def password_missing(self, aor: str, revision: str) -> None:
        """Learn that the table has no such row: it was changed meanwhile, or it is not the right table."""
        entry = self.holdings.get(aor)
        if entry is not None and entry.mapping.revision == revision and entry.password is None:
            self._hold_up(entry, words.NO_ROW)
            self._timers.set(entry, self.now() + READ_AGAIN)

    def passwords_away(self, aors: Iterable[str]) -> None:
        """Learn that the table cannot be read now."""
        for aor in aors:
            entry = self.holdings.get(aor)
            if entry is not None and entry.password is None and entry.wants_binding:
                self._hold_up(entry, words.TABLE_AWAY)

    def flow_up(self, server: Server, address: str) -> None:
        """Take a new flow; ``address`` is ours, ``host:port`` with parameters, as Contacts have it."""
        again = self.flows.up(server, address)
        self.pacer.reopen(server, self.now())
        for entry, delay in self._spread(self.holdings.on(server)):
            self.settle(entry, delay)
            if again:
                self._refresh(entry, delay)

    def flow_closed(self, server: Server) -> None:
        """Learn that a flow that nobody had any more is closed; who wants it again gets another."""
        self.flows.closed(server)
        self.pacer.forget(server)
        if self.holdings.uses(server):
            self.flows.want(server, None)

    def flow_down(self, server: Server) -> None:
        """Learn that a flow is lost. Its bindings stay until the PBX forgets them; the next flow makes them anew."""
        self.flows.down(server)

    def flow_failed(self, server: Server, why: str) -> None:
        """Learn that a flow cannot be opened now."""
        if not self.flows.failed(server, why):
            return
        for entry in self.holdings.on(server):
            if entry.wants_binding and entry.password is not None:
                self._hold_up(entry, words.no_flow(why))

    def account(self, aor: str) -> Entry | None:
        """Find a mapping for the edge; one that leaves is none any more."""
        entry = self.holdings.get(aor)
        return None if entry is None or entry.gone or entry.rejected else entry

    def account_at(self, server: Server, user: str) -> Entry | None:
        """Find a mapping for the edge by its flow and user."""
        return self.holdings.at(server, user, self.now())

    def contact(self, entry: Entry) -> str | None:
        """Return the Contact of an entry, or None while its flow is down."""
        address = self.flows.address(entry.server)
        return None if address is None else f"sip:{entry.mapping.user}@{address}"

    # Time.

    def wake(self) -> bool:
        """Do what is due, as far as it is not too much for one turn; true where there may be more."""
        now = self.now()
        for _ in range(AT_A_TIME):
            entry = self._timers.pop(now)
            if entry is None:
                return False
            if entry.registration is not None:
                entry.registration.handle_timer(now)
            if entry.password is None and self._needs_password(entry):
                self.unread[entry.aor] = entry.mapping
            self._say_silence(entry)
            self._follow(entry)
        return True

    def next(self) -> float | None:
        """Return when :meth:`wake` or :meth:`take` has something to do although nothing happens, or None."""
        times = [time for time in (self._timers.next(), self.pacer.next()) if time is not None]
        return min(times, default=None)

    # Steps.

    def settle(self, entry: Entry, delay: float = 0.0) -> None:
        """Bring an entry a step nearer to what its row asks for; another Contact is bound within ``delay``."""
        now = self.now()
        if entry.wants_binding:
            self._bind(entry, now, delay)
        elif entry.registration is not None:
            entry.registration.stop(now)
        else:
            self._unbind_predecessor(entry, now)
        self._follow(entry)

    def follow(self, entry: Entry) -> None:
        """Do what the machine of an entry wants now."""
        if entry.registration is not None and not entry.dropped:
            self._follow(entry)

    def silence(self, entry: Entry) -> None:
        """Note that an entry failed because its PBX is silent."""
        self._silenced.setdefault(entry.server, set()).add(entry)

    def silence_ended(self, server: Server, since: float | None = None) -> None:
        """Try those again that failed because the PBX was silent, ``since`` when."""
        now = self.now()
        for entry in self._silenced.pop(server, ()):
            if entry.registration is not None and entry.wants_binding and not entry.dropped:
                entry.registration.start(now)
                self._follow(entry)
        if since is not None and now - since >= RESTART_WITHIN:
            self.repair(server, since)

    def repair(self, server: Server, since: float) -> None:
        """Make bindings of before ``since`` again, spread: the PBX may have been started anew without them."""
        for entry, delay in self._spread([one for one in self.holdings.on(server) if one.was_bound(since)]):
            self._refresh(entry, delay)

    def put_off(self, entry: Entry) -> None:
        """Let an entry that may not send now ask again later."""
        entry.asked = False
        self._timers.set(entry, entry.held_up_until(self.now(), self._rng.random()))

    def jitter(self) -> float:
        """Return a random number from 0 to 1."""
        return self._rng.random()

    def _want(self, entry: Entry) -> None:
        """Ask for what a row needs. The flow is there for calls as well."""
        old = entry.predecessor
        if entry.mapping.wants_flow or old is not None:
            self.flows.want(entry.server, port_hint(old, self.instance))
        if self._needs_password(entry):
            self.unread[entry.aor] = entry.mapping
        if entry.wants_binding and entry.password is None:
            entry.holdup = words.WAITS_FOR_PASSWORD

    def _needs_password(self, entry: Entry) -> bool:
        return not entry.gone and not entry.rejected and (entry.mapping.wants_flow or entry.predecessor is not None)

    def _bind(self, entry: Entry, now: float, delay: float) -> None:
        contact = self.contact(entry)
        if entry.password is None:
            return
        if contact is None:
            entry.holdup = words.no_flow(self.flows.trouble(entry.server))
            return
        entry.holdup = ""
        if entry.registration is None:
            entry.registration = self._continue(entry, contact)
        elif entry.registration.contact != contact:
            entry.registration.move(contact, now, delay)
        entry.registration.start(now)

    def _unbind_predecessor(self, entry: Entry, now: float) -> None:
        contact = self.contact(entry)
        if entry.password is None or contact is None or not entry.leaves_binding(self.moment().wall):
            return
        entry.registration = self._continue(entry, contact)
        entry.registration.start(now)
        entry.registration.stop(now)

    def _continue(self, entry: Entry, contact: str) -> Registration:
        return new_registration(entry, contact, self.settings, self.moment(), self.jitter(), self._new_call_id)

    def _spread(self, entries: list[Entry]) -> list[tuple[Entry, float]]:
        period = repair_period(len(entries))
        return [(entry, period * self._rng.random()) for entry in entries]

    def _refresh(self, entry: Entry, delay: float = 0.0) -> None:
        if entry.registration is not None and entry.wants_binding:
            entry.registration.refresh(self.now(), delay)
            self._follow(entry)

    def _succeed(self, entry: Entry, mapping: Mapping) -> Entry:
        """Let the old registration end where it is while one at the row's new server begins."""
        if not entry.server.port:
            # It never had a way to its PBX, and may have inherited a binding there.
            self.holdings.move(entry, mapping)
            return entry
        self.holdings.replace(entry)
        entry.gone = True
        self.settle(entry)
        successor = Entry(mapping, entry.partition)
        self.holdings.add(successor)
        return successor

    def _hold_up(self, entry: Entry, why: str) -> None:
        if entry.holdup != why:
            entry.holdup = why
            if self.holdings.get(entry.aor) is entry:
                self.news.tell(entry)

    def _follow(self, entry: Entry) -> None:
        if entry.gone and entry.is_idle and not self.leaving.lasts(entry):
            self._forget(entry)
            return
        registration, now = entry.registration, self.now()
        if registration is not None:
            if registration.wants_to_send and not entry.asked:
                entry.asked = True
                self.pacer.ask(entry.server, entry, entry.deadline(now))
            self._set_timer(entry, registration, now)
        elif entry.gone:
            self._timers.set(entry, self.leaving.until(entry))
        if self.holdings.get(entry.aor) is entry:
            self.news.look(entry, now)

    def _set_timer(self, entry: Entry, registration: Registration, now: float) -> None:
        if registration.timer is not None:
            self._timers.set(entry, registration.timer)
        elif registration.binding is not None and registration.is_bound(now):
            # It waits or is on its way; if it lapses meanwhile, that has to be said.
            self._timers.set(entry, registration.binding.expires_at)
        elif entry.asked and not entry.holdup:
            self._timers.set(entry, now + PATIENCE)
        else:
            self._timers.cancel(entry)

    def _say_silence(self, entry: Entry) -> None:
        """Say of an entry that waits for its turn that it does so because the PBX is silent."""
        since = self.pacer.silent_since(entry.server)
        if entry.asked and since is not None and (entry.registration is None or not entry.registration.reason):
            moment = self.moment()
            entry.holdup = words.silent(entry.server, moment.at(since) or moment.wall)

    def _forget(self, entry: Entry) -> None:
        if self.holdings.get(entry.aor) is entry:
            self.news.tell_gone(entry.aor, entry.partition)
            self.leaving.forgotten.add(entry.aor)
        self._drop(entry)
        self.holdings.remove(entry)
        self._leave_flow(entry.server)

    def _drop(self, entry: Entry) -> None:
        entry.dropped = True
        entry.password = entry.digest = None
        self._timers.cancel(entry)
        self.leaving.drop(entry)
        self.pacer.withdraw(entry)
        self._silenced.get(entry.server, set()).discard(entry)

    def _leave_flow(self, server: Server) -> None:
        if not self.holdings.uses(server):
            self.flows.leave(server)
