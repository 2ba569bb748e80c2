"""The registration engine against a PBX that is a function, by a clock that is a number."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from random import Random

import pytest
from dialog_registrar.model import words
from dialog_registrar.model.attempts import Attempt, Attempts
from dialog_registrar.model.engine import AT_A_TIME, Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.mapping import Mapping, Server
from dialog_registrar.model.pacing import OVERDUE, PROBE_EVERY, Pacer
from dialog_registrar.model.status import CSEQ_RESERVE, Moment, fingerprint, status_fields
from dialog_schemas.mappings import Transport
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_sip import Request, Response
from dialog_sip.digest import Algorithm, Credentials, digest_response
from dialog_sip.registration import Register, RegistrationSettings
from dialog_sip.transactions import Failure
from pydantic import SecretStr
from pydantic_core import to_json

START = datetime(2026, 1, 1, tzinfo=UTC)
PBX = Server(Transport.UDP, "pbx.example", 5060)
TIMER_F = 32.0


def row(user: str = "alice", *, revision: str = "1", registers: bool = True, server: Server = PBX) -> Mapping:
    return Mapping(
        f"{user}@{server.host}", user, server.host, server, registers=registers, can_call=True, can_be_called=True,
        revision=revision,
    )  # fmt: skip


def status_of(entry: Entry, instance: str, moment: Moment) -> RegistrationStatus:
    """Write a status and read it."""
    return RegistrationStatus.model_validate_json(to_json(status_fields(entry, instance, moment), exclude_none=True))


class Pbx:
    """Checks digest as a PBX does, grants ``granted`` seconds, and may be away."""

    def __init__(self, granted: int = 60, password: str = "secret") -> None:
        self.granted = granted
        self.password = password
        self.away = False
        self.answer: Callable[[Request], Response | None] | None = None
        self.requests: list[tuple[float, Request]] = []
        self.bindings: dict[str, dict[str, float]] = {}
        self._nonces = count()

    def __call__(self, request: Request, now: float) -> Response | None:
        if self.away:
            return None
        self.requests.append((now, request))
        if self.answer is not None and (given := self.answer(request)) is not None:
            return given
        if not self._authorized(request):
            challenge = f'Digest realm="pbx", nonce="n{next(self._nonces)}", qop="auth"'
            return request.respond(401, headers=[("WWW-Authenticate", challenge)])
        self._bind(request, now)
        bound = self.bindings[str(request.to.uri.user)]
        contacts = [("Contact", f"<{uri}>;expires={int(until - now)}") for uri, until in bound.items() if until > now]
        return request.respond(200, headers=contacts)

    def _bind(self, request: Request, now: float) -> None:
        bound = self.bindings.setdefault(str(request.to.uri.user), {})
        for contact in request.contacts:
            if contact.expires == 0:
                bound.pop(contact.uri_text, None)
            else:
                bound[contact.uri_text] = now + min(contact.expires or 0, self.granted)

    def _authorized(self, request: Request) -> bool:
        value = request.headers.get("Authorization")
        if value is None:
            return False
        given = Credentials.parse(value)
        wanted = digest_response(
            given.algorithm or Algorithm.MD5, username=given.username, realm="pbx", password=self.password,
            method="REGISTER", uri=given.uri, nonce=given.nonce, cnonce=given.cnonce, nc=given.nc,
        )  # fmt: skip
        return given.response == wanted

    def live(self, user: str, now: float) -> set[str]:
        return {uri for uri, until in self.bindings.get(user, {}).items() if until > now}


class Rig:
    """An engine, a PBX and the time between them."""

    def __init__(self, pbx: Pbx, *, instance: str = "r1", now: float = 1000.0, port: int = 5070) -> None:
        self.pbx = pbx
        self.now = now
        self.port = port
        self.may_act = True
        self.withhold = False
        """The table cannot be read."""
        ids = count(1)
        self.engine = Engine(
            RegistrationSettings(), Pacer[Server, Entry](), self.moment, instance=instance,
            new_call_id=lambda: f"{instance}-{next(ids)}", rng=Random(7),
        )  # fmt: skip
        self.attempts = Attempts(self.engine, lambda _partition: self.may_act)
        self.waiting: list[tuple[float, Attempt]] = []
        self.passwords: dict[str, str] = {}
        self.published: list[RegistrationStatus] = []
        self._prints: dict[str, object] = {}

    def moment(self) -> Moment:
        return Moment(self.now, START + timedelta(seconds=self.now))

    def give(self) -> None:
        """Give what the engine asks for: flows and passwords."""
        for server in list(self.engine.flows.wanted):
            hint = self.engine.flows.wanted.pop(server)
            self.engine.flow_up(server, f"127.0.0.1:{hint or self.port}")
        for aor, mapping in [] if self.withhold else list(self.engine.unread.items()):
            del self.engine.unread[aor]
            password = self.passwords.get(aor, "secret")
            self.engine.password_read(aor, mapping.revision, SecretStr(password))

    def pump(self) -> None:
        """Do everything that can be done at this moment."""
        self.give()
        self.engine.wake()
        again = True
        while again:
            again = False
            for attempt in self.attempts.take(self.now):
                again = True
                self._send(attempt, attempt.register)
        if not self.pbx.away:
            # UDP retransmits, at most 4 seconds later.
            again_on_its_way, self.waiting = self.waiting, []
            for _, attempt in again_on_its_way:
                self._send(attempt, attempt.register)
        for due, attempt in [item for item in self.waiting if item[0] <= self.now]:
            self.waiting.remove((due, attempt))
            self.attempts.failed(attempt, Failure.TIMEOUT, self.now)
        self._publish()

    def _send(self, attempt: Attempt, register: Register | None) -> None:
        while register is not None:
            response = self.pbx(register.request(), self.now)
            if response is None:
                self.waiting.append((self.now + TIMER_F, attempt))
                return
            register = self.attempts.received(attempt, response, self.now)

    def _publish(self) -> None:
        for entries in self.engine.news.changed.values():
            for aor, entry in entries.items():
                self._prints[aor], before = (
                    (None if entry is None else hash(fingerprint(entry, self.now))),
                    self._prints.get(aor),
                )
                if entry is not None and self._prints[aor] != before:
                    self.published.append(status_of(entry, self.engine.instance, self.moment()))
        self.engine.news.changed.clear()

    def run(self, seconds: float) -> None:
        """Let time pass, stopping wherever something is due."""
        end = self.now + seconds
        while True:
            self.pump()
            times = [due for due, _ in self.waiting] + [end]
            following = self.engine.next()
            if following is not None:
                times.append(following)
            self.now = max(min(times), self.now + 1e-6)
            if self.now >= end:
                self.now = end
                self.pump()
                return

    def status(self, user: str = "alice") -> RegistrationStatus:
        entry = self.engine.holdings.get(f"{user}@pbx.example")
        assert entry is not None
        return status_of(entry, self.engine.instance, self.moment())


def registered(user: str = "alice", **options: object) -> Rig:
    rig = Rig(Pbx(**options))  # type: ignore[arg-type]
    rig.engine.upsert(row(user), 0)
    rig.run(1)
    return rig


def test_a_row_becomes_a_registration() -> None:
    rig = registered()
    status = rig.status()
    assert (status.state, status.granted_expires, status.owner) == (RegistrationState.REGISTERED, 60, "r1")
    assert status.contact == "sip:alice@127.0.0.1:5070"
    assert status.expires_at == START + timedelta(seconds=1060)
    assert [request.cseq.number for _, request in rig.pbx.requests] == [1, 2]
    assert status.cseq == 2 + CSEQ_RESERVE


def test_the_service_route_of_a_grant_is_kept_for_calls() -> None:
    rig = registered()
    entry = rig.engine.account("alice@pbx.example")
    assert entry is not None
    assert entry.service_routes == ()
    rig.pbx.answer = lambda request: request.respond(
        200,
        headers=[
            ("Contact", f"<{request.contacts[0].uri_text}>;expires=60"),
            ("Service-Route", "<sip:a;lr>, <sip:b;lr>"),
        ],
    )
    rig.run(60)
    assert entry.service_routes == ("<sip:a;lr>", "<sip:b;lr>")


def test_a_phrase_that_is_not_utf_8_is_told_readably() -> None:
    rig = Rig(Pbx())
    rig.pbx.answer = lambda request: Response(403, "Forb\udce9", request.headers)
    rig.engine.upsert(row(), 0)
    rig.run(1)
    status = rig.status()
    assert (status.last_code, status.last_phrase) == (403, "Forb\N{REPLACEMENT CHARACTER}")
    assert "Forb\N{REPLACEMENT CHARACTER}" in status.reason


def test_no_challenge_is_answered_and_nothing_sent_again_for_what_may_be_another_registrars() -> None:
    rig = Rig(Pbx())

    def asleep_meanwhile(_request: Request) -> None:
        rig.may_act = False

    rig.pbx.answer = asleep_meanwhile
    rig.engine.upsert(row(), 0)
    rig.run(30)
    assert len(rig.pbx.requests) == 1
    assert "Kafka" in rig.status().reason
    rig.pbx.answer = None
    rig.may_act = True
    rig.run(10)
    assert rig.status().state is RegistrationState.REGISTERED


def test_bindings_of_other_devices_are_left_alone_and_change_no_status() -> None:
    rig = Rig(Pbx())
    rig.pbx.bindings["alice"] = {"sip:alice@phone.example": rig.now + 50}
    rig.engine.upsert(row(), 0)
    rig.run(1)
    told = len(rig.published)
    assert rig.status().state is RegistrationState.REGISTERED
    assert "sip:alice@phone.example" in rig.pbx.live("alice", rig.now)
    rig.run(30)
    assert len(rig.published) == told


def test_nothing_is_sent_before_the_password_is_there() -> None:
    rig = Rig(Pbx())
    rig.engine.upsert(row(), 0)
    rig.engine.flow_up(PBX, "127.0.0.1:5070")
    assert list(rig.attempts.take(rig.now)) == []
    assert rig.status().reason == words.WAITS_FOR_PASSWORD
    rig.engine.passwords_away(["alice@pbx.example"])
    assert rig.status().reason == words.TABLE_AWAY


def test_a_refresh_comes_before_the_grant_ends_and_is_one_transaction() -> None:
    rig = registered()
    rig.run(600)
    times = [time for time, _ in rig.pbx.requests]
    assert all(later - earlier < 60 for earlier, later in pairwise(times[1:]))
    assert len(times) <= 2 + 600 / 40
    assert len({request.call_id for _, request in rig.pbx.requests}) == 1
    numbers = [request.cseq.number for _, request in rig.pbx.requests]
    assert numbers == sorted(set(numbers))


def test_many_users_do_not_refresh_at_once() -> None:
    rig = Rig(Pbx(granted=60))
    for number in range(200):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.run(300)
    refreshes = Counter(int(time) for time, _ in rig.pbx.requests if time > 1010)
    assert max(refreshes.values()) <= 60


def test_a_wrong_password_is_said_and_not_hammered() -> None:
    rig = registered(password="other")
    rig.run(300)
    status = rig.status()
    assert (status.state, status.last_code) == (RegistrationState.REJECTED, 401)
    assert "sip_password" in status.reason
    assert status.next_attempt_at is not None
    assert len(rig.pbx.requests) <= 30


def test_a_corrected_password_is_used_at_once() -> None:
    rig = registered(password="other")
    rig.passwords["alice@pbx.example"] = "other"
    rig.engine.upsert(row(revision="2"), 0)
    rig.run(0.5)
    assert rig.status().state is RegistrationState.REGISTERED
    assert rig.status().mapping_revision == "2"


def test_an_edit_that_changes_nothing_for_the_pbx_sends_nothing() -> None:
    rig = registered()
    sent = len(rig.pbx.requests)
    rig.engine.upsert(row(revision="2"), 0)
    rig.run(1)
    assert len(rig.pbx.requests) == sent
    assert rig.published[-1].mapping_revision == "2"


@pytest.mark.parametrize(("code", "word"), [(404, "does not know the user alice"), (403, "forbids")])
def test_a_refusal_says_what_to_do(code: int, word: str) -> None:
    rig = Rig(Pbx())
    rig.pbx.answer = lambda request: request.respond(code)
    rig.engine.upsert(row(), 0)
    rig.run(1)
    assert rig.status().state is RegistrationState.REJECTED
    assert word in rig.status().reason


@pytest.mark.parametrize(
    "code", [302, 400, 401, 402, 403, 404, 405, 407, 408, 410, 416, 420, 423, 480, 484, 500, 501, 503, 600, 603]
)
def test_a_status_tells_what_to_do_and_when_it_is_tried_again(code: int) -> None:
    rig = Rig(Pbx())
    rig.pbx.answer = lambda request: request.respond(code)
    rig.engine.upsert(row(), 0)
    rig.run(1)
    status = rig.status()
    assert status.state in {RegistrationState.RETRYING, RegistrationState.REJECTED}
    assert (status.last_code, status.owner, status.mapping_revision) == (code, "r1", "1")
    assert f"the PBX answered {code}" in status.reason
    assert ": " in status.reason
    assert status.next_attempt_at is not None
    assert status.next_attempt_at > rig.moment().wall


def test_a_pbx_that_wants_years_is_told_of_and_not_obeyed() -> None:
    rig = Rig(Pbx())
    rig.pbx.answer = lambda request: request.respond(423, headers=[("Min-Expires", "315360000")])
    rig.engine.upsert(row(), 0)
    rig.run(600)
    assert "longer registrations than are allowed" in rig.status().reason
    assert {request.expires for _, request in rig.pbx.requests} == {1800}
    assert len(rig.pbx.requests) < 30


@pytest.mark.parametrize("interval", [60, 1800, 7200])
@pytest.mark.parametrize("granted", [15, 60, 1800, 86_400])
def test_interval_and_grant_whatever_is_shorter(granted: int, interval: float) -> None:
    rig = Rig(Pbx(granted=granted))
    rig.engine.settings = RegistrationSettings(expires=86_400, interval=interval)
    rig.engine.upsert(row(), 0)
    rig.run(1)
    for _ in range(20):
        rig.run(max(1, min(granted, interval) / 7))
        assert rig.pbx.live("alice", rig.now)
    refreshes = [time for time, _ in rig.pbx.requests][1:]
    assert all(later - earlier <= min(interval, granted) for earlier, later in pairwise(refreshes))
    assert len(refreshes) > 2


def test_a_nonce_that_a_pbx_turns_away_is_not_used_again() -> None:
    rig = registered()
    rig.pbx.answer = lambda request: request.respond(403) if "Authorization" in request.headers else None
    while rig.status().last_code != 403:
        rig.run(1)
    before = len(rig.pbx.requests)
    rig.pbx.answer = None
    rig.run(600)
    assert "Authorization" not in rig.pbx.requests[before][1].headers
    assert rig.status().state is RegistrationState.REGISTERED


def test_a_deleted_row_is_unregistered_and_forgotten() -> None:
    rig = registered()
    rig.engine.delete("alice@pbx.example", 0)
    rig.pump()
    assert rig.pbx.live("alice", rig.now) == set()
    assert rig.engine.holdings.get("alice@pbx.example") is None
    assert rig.engine.flows.unwanted == {PBX}


def test_what_was_never_here_leaves_a_tombstone() -> None:
    rig = Rig(Pbx())
    rig.engine.delete("ghost@pbx.example", 3)
    assert rig.engine.news.changed == {3: {"ghost@pbx.example": None}}


def test_a_row_that_comes_back_while_it_leaves_stays_registered() -> None:
    rig = registered()
    rig.pbx.away = True
    rig.engine.delete("alice@pbx.example", 0)
    rig.pump()
    rig.pbx.away = False
    rig.engine.upsert(row(revision="2"), 0)
    rig.run(60)
    assert rig.status().state is RegistrationState.REGISTERED


def test_register_false_unregisters_and_keeps_the_flow() -> None:
    rig = registered()
    rig.engine.upsert(row(revision="2", registers=False), 0)
    rig.pump()
    assert rig.pbx.live("alice", rig.now) == set()
    assert rig.status().state is RegistrationState.UNREGISTERED
    assert rig.engine.holdings.at(PBX, "alice", rig.now) is not None
    assert not rig.engine.flows.unwanted


def test_register_false_from_the_start_sends_nothing_and_has_a_flow() -> None:
    rig = Rig(Pbx())
    rig.engine.upsert(row(registers=False), 0)
    rig.run(1)
    assert rig.pbx.requests == []
    assert (rig.status().state, rig.status().owner) == (RegistrationState.UNREGISTERED, "r1")
    assert rig.engine.holdings.get("alice@pbx.example").password is not None  # type: ignore[union-attr]


def test_a_row_that_becomes_unusable_is_unregistered_and_says_why() -> None:
    rig = registered()
    rig.engine.reject("alice@pbx.example", "sip_port is 0", "2", 0)
    rig.pump()
    assert rig.pbx.live("alice", rig.now) == set()
    assert (rig.status().state, rig.status().reason) == (RegistrationState.REJECTED, "sip_port is 0")
    assert rig.status().mapping_revision == "2"


def test_a_row_that_was_never_usable_says_why() -> None:
    rig = Rig(Pbx())
    rig.engine.reject("alice@pbx.example", "no such transport", "1", 0)
    rig.run(5)
    assert (rig.status().state, rig.status().reason) == (RegistrationState.REJECTED, "no such transport")
    rig.engine.upsert(row(revision="2"), 0)
    rig.run(5)
    assert rig.status().state is RegistrationState.REGISTERED


def test_another_port_is_another_registration_and_the_old_one_ends() -> None:
    rig = registered()
    moved = PBX._replace(port=5080)
    rig.port = 5071
    rig.engine.upsert(row(revision="2", server=moved), 0)
    rig.run(1)
    assert rig.pbx.live("alice", rig.now) == {"sip:alice@127.0.0.1:5071"}
    assert rig.status().state is RegistrationState.REGISTERED
    assert rig.engine.flows.unwanted == {PBX}


def test_a_row_that_moved_is_registered_although_its_password_comes_after_the_old_one_has_left() -> None:
    rig = registered()
    moved = row(revision="2", server=PBX._replace(port=5080))
    rig.engine.upsert(moved, 0)
    rig.withhold = True
    rig.run(5)
    assert rig.pbx.live("alice", rig.now) == set()
    rig.withhold = False
    rig.run(5)
    assert rig.status().state is RegistrationState.REGISTERED


def test_a_restart_sends_nothing_that_is_still_valid() -> None:
    before = registered()
    status = before.status()
    after = Rig(before.pbx, now=before.now + 3, port=5099)
    sent = len(before.pbx.requests)
    after.engine.upsert(row(), 0, predecessor=status)
    after.run(5)
    assert len(before.pbx.requests) == sent
    assert after.status().state is RegistrationState.REGISTERED
    after.run(60)
    first = before.pbx.requests[sent][1]
    assert (first.call_id, first.cseq.number) == (status.call_id, status.cseq + 1)


def test_a_takeover_keeps_the_call_id_and_drops_the_dead_owners_contact() -> None:
    before = registered()
    status = before.status()
    after = Rig(before.pbx, instance="r2", now=before.now + 3, port=5099)
    after.engine.upsert(row(), 0, predecessor=status)
    after.run(1)
    assert after.pbx.live("alice", after.now) == {"sip:alice@127.0.0.1:5099"}
    last = after.pbx.requests[-1][1]
    assert last.call_id == status.call_id
    assert last.cseq.number > status.cseq
    assert after.status().owner == "r2"


def test_takeovers_do_not_begin_the_limit_anew() -> None:
    rig = registered()
    for number in range(2, 10):
        status = rig.status()
        rig = Rig(rig.pbx, instance=f"r{number}", now=rig.now + 0.5, port=5100 + number)
        rig.engine.upsert(row(), 0, predecessor=status)
        rig.run(5)
    rig.run(30)
    assert rig.pbx.live("alice", rig.now) == {f"sip:alice@127.0.0.1:{rig.port}"}
    times = [at for at, _ in rig.pbx.requests]
    assert len(times) > 6
    assert min(last - first for first, last in zip(times, times[6:], strict=False)) > 20


@pytest.mark.parametrize(("due", "waits"), [(1.0, False), (-1.0, True)])
def test_an_attempt_that_was_told_of_beforehand_counts_once_it_was_due(due: float, waits: bool) -> None:
    before = registered()
    now = START.timestamp() + before.now
    told = {
        "state": RegistrationState.RETRYING, "registered_at": None, "sent_lately": (round(1000 * (now - 5)),) * 2,
        "next_attempt_at": before.moment().at(before.now + due),
    }  # fmt: skip
    after = Rig(before.pbx, instance="r2", now=before.now, port=5099)
    sent = len(before.pbx.requests)
    after.engine.upsert(row(), 0, predecessor=before.status().model_copy(update=told))
    after.run(14)
    assert (len(before.pbx.requests) == sent) is waits
    after.run(10)
    assert after.status().state is RegistrationState.REGISTERED


def test_a_clock_that_is_ahead_holds_nothing_up_for_long() -> None:
    before = registered()
    sent = [int(1000 * (START.timestamp() + 3600))] * 6
    after = Rig(before.pbx, instance="r2", now=before.now, port=5099)
    after.engine.upsert(row(), 0, predecessor=before.status().model_copy(update={"sent_lately": tuple(sent)}))
    after.run(30)
    assert after.status().contact == "sip:alice@127.0.0.1:5099"


def test_an_edit_made_meanwhile_is_caught_up() -> None:
    before = registered()
    after = Rig(before.pbx, now=before.now + 3)
    after.engine.upsert(row(revision="2", registers=False), 0, predecessor=before.status())
    after.run(1)
    assert before.pbx.live("alice", after.now) == set()
    assert after.status().state is RegistrationState.UNREGISTERED


def removed_meanwhile(rig: Rig, *, instance: str = "r1") -> Rig:
    """Return a registrar that starts when the row of one that ran before is gone."""
    after = Rig(rig.pbx, instance=instance, now=rig.now + 3, port=5099)
    after.engine.delete("alice@pbx.example", 0, rig.status())
    return after


@pytest.mark.parametrize("instance", ["r1", "r2"])
def test_a_row_that_was_removed_meanwhile_is_unregistered_with_what_was_kept_of_it(instance: str) -> None:
    before = registered()
    after = removed_meanwhile(before, instance=instance)
    assert (after.status().state, after.status().call_id) == (
        RegistrationState.UNREGISTERING, before.status().call_id,
    )  # fmt: skip
    assert list(after.engine.leaving.unread) == ["alice@pbx.example"]
    after.engine.left_read("alice@pbx.example", (row(), SecretStr("secret")))
    after.run(1)
    assert before.pbx.live("alice", after.now) == set()
    assert after.engine.holdings.get("alice@pbx.example") is None
    assert after.engine.leaving.forgotten == {"alice@pbx.example"}
    assert not after.engine.leaving.unread


def test_a_removed_row_of_which_nothing_was_kept_is_told_of_until_its_binding_ends() -> None:
    after = removed_meanwhile(registered())
    after.engine.left_read("alice@pbx.example", None)
    after.run(1)
    assert after.status().state is RegistrationState.UNREGISTERING
    assert "ends by itself at 2026-01-01 00:17:40 UTC" in after.status().reason
    assert after.status().expires_at is not None
    after.run(60)
    assert after.engine.holdings.get("alice@pbx.example") is None
    assert after.pbx.requests[2:] == []


def test_a_removed_row_is_unregistered_when_its_pbx_is_back_and_forgotten_when_that_takes_too_long() -> None:
    for away, sent in ((20, True), (70, False)):
        before = registered()
        after = removed_meanwhile(before)
        before.pbx.away = True
        after.engine.left_read("alice@pbx.example", (row(), SecretStr("secret")))
        after.run(away)
        before.pbx.away = False
        after.run(70)
        assert after.engine.holdings.get("alice@pbx.example") is None
        assert (len(before.pbx.requests) > 2) is sent


@pytest.mark.parametrize("read", [True, False])
def test_a_removed_row_that_comes_back_is_registered_where_it_was(read: bool) -> None:
    before = registered()
    after = removed_meanwhile(before, instance="r2")
    if read:
        after.engine.left_read("alice@pbx.example", None)
    after.engine.upsert(row(revision="2"), 0)
    after.run(1)
    status = after.status()
    assert (status.state, status.call_id, status.reason) == (
        RegistrationState.REGISTERED, before.status().call_id, "",
    )  # fmt: skip
    assert before.pbx.live("alice", after.now) == {"sip:alice@127.0.0.1:5099"}
    assert not after.engine.leaving.unread


def test_a_row_that_goes_before_its_password_was_read_leaves_nothing_at_the_pbx() -> None:
    before = registered()
    after = Rig(before.pbx, instance="r2", now=before.now + 3, port=5099)
    after.withhold = True
    after.engine.upsert(row(), 0, predecessor=before.status())
    after.run(1)
    after.engine.delete("alice@pbx.example", 0)
    after.engine.left_read("alice@pbx.example", (row(), SecretStr("secret")))
    after.run(1)
    assert before.pbx.live("alice", after.now) == set()


def test_a_removed_row_is_another_registrars_once_its_partition_is() -> None:
    after = removed_meanwhile(registered())
    after.engine.revoke(0)
    after.run(1)
    assert not after.engine.leaving.unread
    after.engine.left_read("alice@pbx.example", (row(), SecretStr("secret")))
    assert after.engine.next() is None


def test_an_outage_is_said_and_healed_without_a_herd() -> None:
    users = 1000
    rig = Rig(Pbx(granted=60))
    for number in range(users):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.run(20)
    rig.pbx.away = True
    rig.run(60)
    assert rig.status("u1").state is RegistrationState.RETRYING
    assert "no answer" in rig.status("u1").reason
    rig.pbx.away = False
    sent = len(rig.pbx.requests)
    rig.run(8)
    states = Counter(status_of(entry, "r1", rig.moment()).state for entry in rig.engine.holdings)
    assert states[RegistrationState.REGISTERED] == users
    assert len(rig.pbx.requests) - sent <= users * 1.1


def test_a_silent_pbx_is_probed_only() -> None:
    rig = Rig(Pbx())
    rig.pbx.away = True
    for number in range(1000):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.run(60)
    assert len(rig.waiting) <= 128 + 60 / PROBE_EVERY
    assert rig.engine.pacer.silent_since(PBX) == 1000.0
    assert "no answer" in rig.status("u900").reason
    assert OVERDUE < PROBE_EVERY


def test_a_partition_that_is_not_ours_right_now_sends_nothing() -> None:
    rig = Rig(Pbx())
    rig.may_act = False
    rig.engine.upsert(row(), 0)
    rig.run(10)
    assert rig.pbx.requests == []
    rig.may_act = True
    rig.run(3)
    assert rig.status().state is RegistrationState.REGISTERED


def test_a_revoked_partition_is_let_go_of_silently() -> None:
    rig = registered()
    rig.engine.upsert(row("bob"), 1)
    rig.run(1)
    rig.pbx.away = True
    rig.run(50)
    sent = len(rig.published)
    rig.engine.revoke(0)
    rig.pbx.away = False
    rig.run(200)
    assert {status.aor for status in rig.published[sent:]} == {"bob@pbx.example"}
    assert rig.engine.holdings.get("alice@pbx.example") is None
    assert rig.pbx.live("alice", rig.now) == set()


def test_a_lost_flow_is_bound_anew_when_it_is_back() -> None:
    rig = registered()
    rig.engine.flow_down(PBX)
    rig.engine.flow_up(PBX, "127.0.0.1:6000")
    rig.run(1)
    assert rig.pbx.live("alice", rig.now) == {"sip:alice@127.0.0.1:6000"}
    rig.engine.flow_down(PBX)
    sent = len(rig.pbx.requests)
    rig.engine.flow_up(PBX, "127.0.0.1:6000")
    rig.run(1)
    assert len(rig.pbx.requests) > sent


def test_503_with_retry_after_closes_the_server_for_everyone() -> None:
    rig = Rig(Pbx())
    rig.pbx.answer = lambda request: request.respond(503, headers=[("Retry-After", "20")])
    for number in range(300):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.run(15)
    assert len(rig.pbx.requests) <= 128
    rig.pbx.answer = None
    rig.run(40)
    assert rig.status("u299").state is RegistrationState.REGISTERED


def test_no_answer_however_odd_makes_a_storm() -> None:
    rng = Random(3)
    rig = Rig(Pbx(granted=2))
    odd = [401, 403, 423, 500, 302, 200, 407]

    def answer(request: Request) -> Response | None:
        code = rng.choice([0, *odd])
        if code == 0:
            return None
        extra = [("WWW-Authenticate", f'Digest realm="pbx", nonce="{rng.random()}", stale=true, qop="auth"')]
        extra += [("Min-Expires", "99999999"), ("Contact", "<sip:elsewhere.example>")]
        return request.respond(code, headers=extra)

    rig.pbx.answer = answer
    rig.engine.upsert(row(), 0)
    rig.run(600)
    times = [time for time, _ in rig.pbx.requests]
    for start in times:
        assert sum(start <= time < start + 20 for time in times) <= 6


def test_statuses_are_published_when_something_is_new() -> None:
    rig = registered()
    rig.run(500)
    refreshes = len({status.expires_at for status in rig.published})
    assert len(rig.published) <= refreshes + 2


def test_a_registration_fits_into_little_memory() -> None:
    rig = Rig(Pbx(granted=3600))
    users = 2000
    for number in range(10):
        rig.engine.upsert(row(f"warm{number}"), 0)
    rig.run(5)
    rig.pbx.answer = None
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for number in range(users):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.run(60)
    rig.pbx.requests.clear()
    rig.pbx.bindings.clear()
    rig.published.clear()
    rig._prints.clear()
    gc.collect()
    after = tracemalloc.take_snapshot()
    tracemalloc.stop()
    used = sum(item.size_diff for item in after.compare_to(before, "filename"))
    assert used / users < 3000


def test_one_turn_sees_to_a_bounded_number_of_mappings() -> None:
    rig = Rig(Pbx())
    for number in range(2 * AT_A_TIME + 1):
        rig.engine.upsert(row(f"u{number}"), 0)
    rig.give()
    rig.may_act = False
    assert list(rig.attempts.take(rig.now)) == []
    assert rig.attempts.more
    rig.now += 10
    assert [rig.engine.wake() for _ in range(2)] == [True, True]
    while rig.engine.wake():
        pass
    rig.may_act = True
    rig.run(60)
    assert len(rig.pbx.live("u0", rig.now)) == 1
    assert sum(bool(rig.pbx.live(user, rig.now)) for user in rig.pbx.bindings) == 2 * AT_A_TIME + 1
