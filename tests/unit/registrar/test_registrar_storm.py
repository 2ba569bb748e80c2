"""No answer of a PBX, however odd, makes a storm: engine and simulated PBX, minutes of them in a moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import pytest
from dialog_registrar.model.attempts import Attempt, Attempts
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.mapping import Mapping, Server
from dialog_registrar.model.pacing import Pacer
from dialog_registrar.model.status import Moment
from dialog_sandbox.simulator import Challenge, Faults
from dialog_sandbox.simulator.registrar import Registrar as SimulatedPbx
from dialog_schemas.mappings import Transport
from dialog_sip import Response, parse_message
from dialog_sip.registration import Register, RegistrationSettings
from dialog_sip.transactions import Failure
from pydantic import SecretStr

USERS = 200
STEP = 0.05
MOST_IN_20_S = 6
TIMER_F = 32.0
PBX = Server(Transport.UDP, "pbx.example", 5060)
START = datetime(2026, 1, 1, tzinfo=UTC)


class Storm:
    """All users of one PBX, with the time between them and it."""

    def __init__(self, *, expires: int = 60) -> None:
        self.now = 1000.0
        self.pbx = SimulatedPbx(b"secret", expires=expires, seed=3)
        ids = count()
        self.engine = Engine(
            RegistrationSettings(), Pacer[Server, Entry](), self._moment, instance="r1",
            new_call_id=lambda: f"call-{next(ids)}", rng=Random(5),
        )  # fmt: skip
        self.attempts = Attempts(self.engine, lambda _partition: True)
        self.dress: Callable[[bytes], bytes] = bytes
        """What a PBX makes of its answers."""
        self._branches = count()
        self._unanswered: list[tuple[float, Attempt]] = []
        for number in range(USERS):
            self.engine.upsert(_mapping(number), 0)
        self.flow_up()
        for aor, mapping in self.engine.unread.copy().items():
            del self.engine.unread[aor]
            self.engine.password_read(aor, mapping.revision, SecretStr("secret"))

    def flow_up(self) -> None:
        self.engine.flows.wanted.clear()
        self.engine.flow_up(PBX, "127.0.0.1:5099")

    def run(self, seconds: float) -> None:
        ends = self.now + seconds
        while self.now < ends:
            self.now += STEP
            self.engine.wake()
            self._give_up()
            while attempts := list(self.attempts.take(self.now)):
                for attempt in attempts:
                    self._exchange(attempt)

    def _moment(self) -> Moment:
        return Moment(self.now, START + timedelta(seconds=self.now))

    def _exchange(self, attempt: Attempt) -> None:
        register: Register | None = attempt.register
        while register is not None:
            data = register.encode(f"SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bK{next(self._branches)}")
            answer = self.pbx.receive(data, ("127.0.0.1", 5099), self.now)
            if answer is None:
                self._unanswered.append((self.now + TIMER_F, attempt))
                return
            response = parse_message(self.dress(answer))
            assert isinstance(response, Response)
            register = self.attempts.received(attempt, response, self.now)

    def _give_up(self) -> None:
        due = [attempt for at, attempt in self._unanswered if at <= self.now]
        self._unanswered = [(at, attempt) for at, attempt in self._unanswered if at > self.now]
        for attempt in due:
            self.attempts.failed(attempt, Failure.TIMEOUT, self.now)


def _mapping(number: int) -> Mapping:
    return Mapping(
        f"u{number}@pbx.example", f"u{number}", "pbx.example", PBX,
        registers=True, can_call=True, can_be_called=True, revision="1",
    )  # fmt: skip


def _refresh(storm: Storm, aor: str) -> None:
    entry = storm.engine.holdings.get(aor)
    assert entry is not None
    assert entry.registration is not None
    entry.registration.refresh(storm.now)
    storm.engine.follow(entry)


ODD = [
    pytest.param(Faults(grant=0), id="grants nothing"),
    pytest.param(Faults(grant=1), id="grants a second"),
    pytest.param(Faults(grant=2), id="grants two seconds"),
    pytest.param(Faults(grant=7), id="grants seven seconds"),
    pytest.param(Faults(grant=2, challenge=Challenge.ONE_USE), id="grants two seconds and takes a nonce once"),
    pytest.param(Faults(min_expires=10**9), id="wants years"),
    pytest.param(Faults(code=423), id="wants longer and does not say how long"),
    pytest.param(Faults(code=423, min_expires=1), id="wants longer than what is more"),
    pytest.param(Faults(challenge=Challenge.ENDLESS), id="is never content with a nonce"),
    pytest.param(Faults(challenge=Challenge.REFUSE), id="refuses the password"),
    pytest.param(Faults(challenge=Challenge.ONE_USE), id="takes a nonce once"),
    pytest.param(Faults(code=503, retry_after=0), id="is overloaded for no time at all"),
    pytest.param(Faults(code=503, retry_after=2), id="is overloaded for two seconds"),
    pytest.param(Faults(code=500), id="fails"),
    pytest.param(Faults(code=403), id="forbids"),
    pytest.param(Faults(code=302), id="sends elsewhere and does not say where"),
    pytest.param(Faults(code=200), id="accepts and binds nothing"),
    pytest.param(Faults(lists_contact=False, grant=3), id="lists no Contact"),
    pytest.param(Faults(code=500, share=0.5), id="fails every other time"),
    pytest.param(Faults(loss=0.3), id="loses a third"),
]


@pytest.mark.parametrize("faults", ODD)
def test_a_user_never_sends_more_than_six_registers_in_twenty_seconds(faults: Faults) -> None:
    storm = Storm()
    storm.pbx.faults = faults
    storm.run(150)
    assert 0 < storm.pbx.counts.most_in_20_s <= MOST_IN_20_S


@pytest.mark.parametrize("faults", ODD)
def test_an_odd_answer_in_the_middle_makes_no_storm_either(faults: Faults) -> None:
    storm = Storm()
    storm.run(60)
    storm.pbx.faults = faults
    storm.run(90)
    storm.pbx.faults = Faults()
    storm.run(60)
    assert storm.pbx.counts.most_in_20_s <= MOST_IN_20_S
    assert storm.pbx.counts.cseq_back == 0


@pytest.mark.parametrize("faults", [Faults(grant=grant) for grant in (1, 2, 5, 7, 10, 15, 20, 60, 300)], ids=str)
def test_users_of_one_pbx_never_all_refresh_in_one_second(faults: Faults) -> None:
    storm = Storm()
    storm.pbx.faults = faults
    storm.run(2)
    storm.pbx.reset()
    storm.run(max(120, 2.5 * (faults.grant or 0)))
    assert storm.pbx.counts.refreshes > USERS
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7


def test_a_connection_that_is_closed_again_and_again_makes_no_storm() -> None:
    storm = Storm()
    for _ in range(60):
        storm.run(1)
        storm.engine.flow_down(PBX)
        storm.flow_up()
    assert storm.pbx.counts.most_in_20_s <= MOST_IN_20_S
    storm.pbx.reset()
    storm.run(120)
    assert storm.pbx.counts.lapses.count == 0


@pytest.mark.parametrize("granted", [15, 20, 30, 60, 600])
def test_nothing_lapses(granted: int) -> None:
    storm = Storm(expires=granted)
    storm.run(max(200, 3 * granted))
    assert storm.pbx.counts.refreshes > USERS
    assert (storm.pbx.counts.lapses.count, storm.pbx.overdue(storm.now)) == (0, 0)


def test_a_pbx_that_forgot_everybody_is_repaired_when_its_options_say_so() -> None:
    storm = Storm(expires=1800)
    storm.run(20)
    storm.pbx.forget(storm.now)
    storm.engine.repair(PBX, storm.now - 3)
    storm.pbx.reset()
    storm.run(6)
    assert storm.pbx.bound(storm.now) == USERS
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7


def test_a_pbx_that_forgot_everybody_is_repaired_after_a_refresh_met_its_silence() -> None:
    storm = Storm(expires=1800)
    storm.run(20)
    storm.pbx.forget(storm.now)
    storm.pbx.faults = Faults(away=True)
    storm.run(1)
    _refresh(storm, "u7@pbx.example")
    storm.run(12)
    storm.pbx.faults = Faults()
    storm.pbx.reset()
    # Nobody else asks: its answer comes with the next attempt, after Timer F.
    storm.run(TIMER_F + 10)
    assert storm.pbx.bound(storm.now) == USERS
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7


def test_users_of_a_connection_that_is_lost_are_bound_anew_without_a_herd() -> None:
    storm = Storm(expires=1800)
    storm.run(20)
    storm.pbx.forget(storm.now)
    storm.pbx.reset()
    storm.engine.flow_down(PBX)
    storm.flow_up()
    storm.run(6)
    assert storm.pbx.bound(storm.now) == USERS
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7


def test_an_outage_ends_with_a_registration_each_and_no_herd() -> None:
    storm = Storm()
    storm.run(60)
    storm.pbx.faults = Faults(away=True)
    storm.run(60)
    storm.pbx.forget(storm.now)
    storm.pbx.faults = Faults()
    storm.pbx.reset()
    storm.run(15)
    assert storm.pbx.bound(storm.now) == USERS
    assert storm.pbx.counts.registers <= 2 * USERS * 1.025
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7


@pytest.mark.parametrize("connected", [True, False])
def test_an_outage_in_which_all_bindings_lapsed_ends_without_a_herd(connected: bool) -> None:
    storm = Storm()
    storm.run(60)
    storm.pbx.faults = Faults(away=True)
    storm.run(120)
    storm.pbx.forget(storm.now)
    storm.pbx.faults = Faults()
    storm.pbx.reset()
    if connected:
        storm.engine.flow_down(PBX)
        storm.flow_up()
    storm.run(15)
    assert storm.pbx.bound(storm.now) == USERS
    assert storm.pbx.counts.accepted_rate.peak_1s < USERS * 0.7
