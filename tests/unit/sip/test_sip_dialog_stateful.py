"""Two user agents that do anything at any time, over a wire that loses and holds packets: nothing breaks or stays."""

from __future__ import annotations

import contextlib
import random

import pytest
from dialog_sip import LocalProtocolError
from dialog_sip.fields import Digit, Progress
from dialog_sip.sip_dialog import (
    Ended,
    IncomingInvite,
    Offered,
    OutgoingInvite,
    Referred,
    SessionSettings,
    SessionTimerSettings,
)
from dialog_sip.testing import Call, ManualClock, UserAgent, Wire
from fixtures.sip_calls import sdp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

SIDES = st.sampled_from([0, 1])
TIMED = SessionSettings(SessionTimerSettings(interval=120), reliable=True)


STARTS = ["nothing", "ringing", "call", "call", "call"]
CROSSING = ["reinvite", "reinvite", "ask", "update", "refer", "bye", "nothing"]


class TwoAgents(RuleBasedStateMachine):
    """Everything that an application may ask for, in any order; what it may not ask for raises, and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.wire = Wire(self.clock)
        self.random = random.Random(1)
        self.loss = 0.0
        self.wire.loses = lambda _: self.random.random() < self.loss
        self.agents = [
            UserAgent(name, self.wire, self.clock, TIMED, chance=self.random.random) for name in ("alice", "bob")
        ]
        self.version = 1

    def sdp(self, side: int) -> bytes:
        self.version += 1
        return sdp(self.agents[side].name, self.version)

    def calls(self, side: int) -> list[Call]:
        return [call for call in self.agents[side].calls if call.machine.session is not None]

    def attempt(self, call: Call, what: object, *args: object, **options: object) -> None:
        """Ask for something that may be out of place."""
        assert callable(what)
        with contextlib.suppress(LocalProtocolError):
            what(*args, **options)
        call.flush()

    @initialize(start=st.sampled_from(STARTS), side=SIDES)
    def begin(self, start: str, side: int) -> None:
        """Most of what is hard comes after the answer."""
        if start == "nothing":
            return
        self.agents[side].call(self.agents[1 - side].name, self.sdp(side))
        called = self.agents[1 - side].last_call
        self.attempt(called, called.machine.progress, 180, now=self.clock.now)  # type: ignore[union-attr]
        if start == "call":
            self.attempt(called, called.machine.accept, self.sdp(1 - side), now=self.clock.now)  # type: ignore[union-attr]

    @precondition(lambda self: len(self.agents[0].calls) + len(self.agents[1].calls) < 4)
    @rule(side=SIDES, with_offer=st.booleans())
    def call(self, side: int, with_offer: bool) -> None:
        self.agents[side].call(self.agents[1 - side].name, self.sdp(side) if with_offer else b"")

    @rule(side=SIDES, code=st.sampled_from([180, 183]), with_sdp=st.booleans())
    def progress(self, side: int, code: int, with_sdp: bool) -> None:
        for call in self.agents[side].calls:
            if isinstance(call.machine, IncomingInvite):
                body = self.sdp(side) if with_sdp else b""
                self.attempt(call, call.machine.progress, code, body, now=self.clock.now)

    @rule(side=SIDES, with_sdp=st.booleans())
    def accept(self, side: int, with_sdp: bool) -> None:
        for call in self.agents[side].calls:
            if isinstance(call.machine, IncomingInvite):
                body = self.sdp(side) if with_sdp else b""
                self.attempt(call, call.machine.accept, body, now=self.clock.now)

    @rule(side=SIDES, code=st.sampled_from([302, 486, 603]))
    def reject(self, side: int, code: int) -> None:
        for call in self.agents[side].calls:
            if isinstance(call.machine, IncomingInvite):
                self.attempt(call, call.machine.reject, code)

    @rule(side=SIDES)
    def cancel(self, side: int) -> None:
        for call in self.agents[side].calls:
            if isinstance(call.machine, OutgoingInvite):
                self.attempt(call, call.machine.cancel)

    @rule(side=SIDES)
    def acknowledge(self, side: int) -> None:
        for call in self.agents[side].calls:
            if isinstance(call.machine, OutgoingInvite):
                self.attempt(call, call.machine.acknowledge, self.sdp(side))
            elif call.machine.session is not None:
                self.attempt(call, call.machine.session.acknowledge, self.sdp(side))

    @rule(side=SIDES, with_sdp=st.booleans())
    def reinvite(self, side: int, with_sdp: bool) -> None:
        for call in self.calls(side):
            self.attempt(call, call.session.reinvite, self.sdp(side) if with_sdp else b"")

    @rule(side=SIDES, with_sdp=st.booleans())
    def update(self, side: int, with_sdp: bool) -> None:
        for call in self.calls(side):
            self.attempt(call, call.session.update, self.sdp(side) if with_sdp else b"")

    @rule(side=SIDES, code=st.sampled_from([200, 200, 200, 488]))
    def answer_offers(self, side: int, code: int) -> None:
        for call in self.calls(side):
            for event in list(call.events):
                if isinstance(event, Offered) and event.request is not None and event.request.to.tag:
                    body = self.sdp(side) if code == 200 else b""
                    self.attempt(call, call.session.respond, event.request, code, body, now=self.clock.now)

    @rule(side=SIDES, subscribe=st.booleans())
    def refer(self, side: int, subscribe: bool) -> None:
        for call in self.calls(side):
            self.attempt(call, call.session.refer, "sip:carol@carol.invalid", subscribe=subscribe)

    @rule(side=SIDES, code=st.sampled_from([100, 180, 200, 486]))
    def take_refers(self, side: int, code: int) -> None:
        for call in self.calls(side):
            for event in list(call.events):
                if isinstance(event, Referred):
                    self.attempt(call, call.session.accept_refer, event.request, self.clock.now)
                    self.attempt(call, call.session.report, event.request, Progress(code), self.clock.now)

    @rule(side=SIDES)
    def digit(self, side: int) -> None:
        for call in self.calls(side):
            self.attempt(call, call.session.send_digit, Digit("1"))

    @precondition(lambda self: self.version > 12)
    @rule(side=SIDES)
    def bye(self, side: int) -> None:
        for call in self.calls(side):
            self.attempt(call, call.session.bye)

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 33.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(ours=st.sampled_from(CROSSING), theirs=st.sampled_from(CROSSING), lasting=st.sampled_from([0.0, 0.7]))
    def cross(self, ours: str, theirs: str, lasting: float) -> None:
        """Both sides act before either hears of it; retransmissions cross as well where it lasts."""
        self.wire.is_held = True
        for side, what in enumerate((ours, theirs)):
            for call in self.calls(side):
                session = call.session
                actions = {
                    "reinvite": lambda session=session, side=side: session.reinvite(self.sdp(side)),
                    "ask": session.reinvite,
                    "update": lambda session=session, side=side: session.update(self.sdp(side)),
                    "refer": lambda session=session: session.refer("sip:carol@carol.invalid"),
                    "bye": session.bye,
                    "nothing": lambda: None,
                }
                self.attempt(call, actions[what])
        self.clock.advance(lasting)
        self.wire.release()

    @rule(loss=st.sampled_from([0.0, 0.0, 0.4]))
    def lose(self, loss: float) -> None:
        self.loss = loss

    @precondition(lambda self: self.version > 12)
    @rule(seconds=st.sampled_from([2.0, 40.0, 100.0]))
    def be_cut_off(self, seconds: float) -> None:
        """Nothing arrives for a while."""
        before, self.loss = self.loss, 1.0
        self.clock.advance(seconds)
        self.loss = before

    @invariant()
    def ended_calls_have_no_timers(self) -> None:
        for agent in self.agents:
            for call in agent.calls:
                session = call.machine.session
                if session is not None and session.is_over:
                    assert session.timer is None
                    assert session.dialog.is_over
                ends = [event for event in call.events if isinstance(event, Ended)]
                assert len(ends) <= 2, "each branch ends once, and so does the call"

    def teardown(self) -> None:
        self.wire.release()
        self.loss = 0.0
        for agent in self.agents:
            for call in agent.calls:
                if isinstance(call.machine, OutgoingInvite):
                    self.attempt(call, call.machine.cancel)
                else:
                    self.attempt(call, call.machine.reject, 480)
                if call.machine.session is not None:
                    self.attempt(call, call.machine.session.bye)
        self.clock.advance(1500)
        assert self.clock.next_timer is None
        for agent in self.agents:
            assert agent.is_idle
            for call in agent.calls:
                if isinstance(call.machine, OutgoingInvite):
                    assert all(session.is_over for session in call.machine.sessions)
                else:
                    assert call.machine.session.is_over


TwoAgents.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestTwoAgents = TwoAgents.TestCase


BOTH, SIDE = [True, False], [0, 1]
STEPS: list[tuple[float, str, dict[str, list[object]]]] = [
    (1, "call", {"side": SIDE, "with_offer": BOTH}),
    (4, "progress", {"side": SIDE, "code": [180, 183], "with_sdp": BOTH}),
    (4, "accept", {"side": SIDE, "with_sdp": BOTH}),
    (0.3, "reject", {"side": SIDE, "code": [302, 486]}),
    (0.3, "cancel", {"side": SIDE}),
    (4, "acknowledge", {"side": SIDE}),
    (4, "reinvite", {"side": SIDE, "with_sdp": BOTH}),
    (4, "update", {"side": SIDE, "with_sdp": BOTH}),
    (8, "answer_offers", {"side": SIDE, "code": [200, 200, 488]}),
    (2, "refer", {"side": SIDE, "subscribe": BOTH}),
    (3, "take_refers", {"side": SIDE, "code": [100, 180, 200, 486]}),
    (1, "digit", {"side": SIDE}),
    (0.2, "bye", {"side": SIDE}),
    (5, "wait", {"seconds": [0.1, 0.6, 3.0, 33.0, 70.0]}),
    (4, "cross", {"ours": [*CROSSING], "theirs": [*CROSSING], "lasting": [0.0, 0.7]}),
    (1, "lose", {"loss": [0.0, 0.0, 0.4]}),
    (0.5, "be_cut_off", {"seconds": [2.0, 40.0, 100.0]}),
]
"""Weight, rule, arguments: what a long call is made of."""


@pytest.mark.parametrize("chunk", range(8))
def test_long_walks(chunk: int) -> None:
    """The same without shrinking and with weights, which gets to the far ends of the tables sooner."""
    for seed in range(chunk * 25, chunk * 25 + 25):
        chance, machine = random.Random(seed), TwoAgents()
        machine.begin(chance.choice(STARTS), chance.choice(SIDE))
        for _ in range(chance.randrange(1, 60)):
            _, name, arguments = chance.choices(STEPS, [weight for weight, _, _ in STEPS])[0]
            if name == "call" and sum(len(agent.calls) for agent in machine.agents) >= 4:
                continue
            getattr(machine, name)(**{key: chance.choice(values) for key, values in arguments.items()})
            machine.ended_calls_have_no_timers()
        machine.teardown()
