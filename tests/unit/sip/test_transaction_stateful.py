"""Two layers that do anything at any time, over a network that loses, repeats and reorders, with too many requests.

Whatever happens: no peer and no timer meets a state that has no row for it; what may not be asked for changes nothing;
each user hears of a request once, and of its own one end; the bound holds; and time alone ends everything.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from dialog_sip import LocalProtocolError, Message, Request, Response, parse_message
from dialog_sip.transactions import (
    RequestReceived,
    ResponseReceived,
    Terminated,
    Timeout,
    TooManyTransactionsError,
    TransactionLayer,
    TransportFailed,
)
from dialog_sip.transactions.matching import merge_key
from dialog_sip.transactions.tables import Input, State
from dialog_sip.transactions.transaction import Transaction
from fixtures.sip_layer import FakeFlow, sip
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

LIMIT = 5
ROUNDS = 4
"""A message, its answer, and what that leads to: enough for what one step set off."""
METHODS = st.sampled_from(["INVITE", "INVITE", "OPTIONS", "MESSAGE"])
CODES = st.sampled_from([100, 180, 200, 200, 200, 408, 486])
TIMES = st.sampled_from([1, 1, 2, 0])
"""How often the network delivers what follows; 0: not yet."""
ASKED = {Input.TU_PROVISIONAL, Input.TU_SUCCESS, Input.TU_FAILURE, Input.TU_CANCEL}


class Side:
    """One layer, what is on its way to it, and what its user heard."""

    def __init__(self, name: str, transport: str, now: float) -> None:
        tokens = count(1)
        self.layer = TransactionLayer(limit=LIMIT, new_token=lambda: f"{name}{next(tokens)}")
        self.flow = FakeFlow(transport)
        self.arriving: list[bytes] = []
        self.now = now
        self.unmet: list[tuple[State, Input]] = []
        self.requests: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.terminated: Counter[str] = Counter()
        self.accepted: list[Response] = []
        self._watch()

    def _watch(self) -> None:
        """Note what comes to a state that has no row for it, though nobody asked for it."""
        engine = self.layer._engine
        step = engine.step

        def watched(one: Transaction, what: Input, now: float, message: Message | None = None) -> None:
            if what not in ASKED and (one.state, what) not in one.machine.cells:
                self.unmet.append((one.state, what))
            step(one, what, now, message)

        engine.step = watched  # type: ignore[method-assign]

    def receive(self, data: bytes) -> None:
        self.layer.receive(parse_message(data), self.flow, self.now)

    def hear(self) -> None:
        for event in self.layer.take_events():
            name = event.transaction or ""
            # Nothing is heard of what is over.
            assert not self.terminated[name], event
            match event:
                case RequestReceived():
                    self.requests[name] += 1
                case ResponseReceived(_, response, _) if response.is_success and response.cseq.method == "INVITE":
                    self.accepted.append(response)
                    self.ends[name] = 1
                case ResponseReceived(_, response, _) if response.is_final:
                    self.ends[name] += 1
                case Timeout():
                    self.ends[name] += 1
                case TransportFailed() if not self.ends[name]:
                    self.ends[name] += 1
                case Terminated():
                    self.terminated[name] += 1
                case _:
                    pass

    def check_merging(self) -> None:
        """See to it that no copy of what is not answered yet was taken (RFC 3261 section 8.2.2.2)."""
        keys = [merge_key(one.request) for one in self.servers() if one.is_unanswered]
        assert len(set(keys)) == len(keys)

    def servers(self) -> list[Transaction]:
        return [one for one in self.layer._store.by_id.values() if not one.is_client and not one.is_cancel]

    def clients(self) -> list[Transaction]:
        return [one for one in self.layer._store.by_id.values() if one.is_client and not one.is_cancel]


class TwoLayers(RuleBasedStateMachine):
    """A caller and a called one."""

    @initialize(transport=st.sampled_from(["udp", "udp", "tcp"]))
    def begin(self, transport: str) -> None:
        self.now = 100.0
        self.caller, self.called = Side("a", transport, self.now), Side("b", transport, self.now)
        self.sides = [self.caller, self.called]
        self.sent: list[Request] = []
        self.started: list[str] = []
        self.number = 0

    def settle(self) -> None:
        for side, other in ((self.caller, self.called), (self.called, self.caller)):
            other.arriving += [data for _, data in side.layer.take_transmits()]
            del other.arriving[: max(0, len(other.arriving) - 40)]
            side.hear()

    @rule(method=METHODS, times=TIMES)
    def send(self, method: str, times: int) -> None:
        self.number += 1
        request = sip(method, cseq=self.number, call_id=f"call-{self.number}")
        try:
            self.started.append(self.caller.layer.request(request, self.caller.flow, self.now))
        except TooManyTransactionsError:
            assert len(self.caller.layer) >= LIMIT
        else:
            self.sent.append(request)
        self.settle()
        self.deliver(times)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), branch=st.sampled_from(["z9hG4bK-copy", "z9hG4bK-other", "old", None]))
    def come_by_another_way(self, data: st.DataObject, branch: str | None) -> None:
        """A proxy forked, or a peer of RFC 2543 has no branch to tell requests by."""
        copy = data.draw(st.sampled_from(self.sent)).copy()
        copy.headers.remove("Via")
        copy.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.20:5060" + ("" if branch is None else f";branch={branch}"))
        self.called.receive(copy.encode())
        self.settle()

    @precondition(lambda self: self.caller.arriving or self.called.arriving)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "arrives", "arrives", "arrives twice", "is lost"]))
    def packet(self, data: st.DataObject, fate: str) -> None:
        side = data.draw(st.sampled_from([side for side in self.sides if side.arriving]))
        packet = side.arriving.pop(data.draw(st.integers(0, len(side.arriving) - 1)))
        for _ in range({"is lost": 0, "arrives": 1, "arrives twice": 2}[fate]):
            side.receive(packet)
        self.settle()

    def deliver(self, times: int) -> None:
        """Let everything arrive in order, answers of the layers too."""
        for _ in range(ROUNDS if times else 0):
            for side in self.sides:
                arriving, side.arriving = side.arriving, []
                for packet in arriving * times:
                    side.receive(packet)
            self.settle()

    @precondition(lambda self: self.called.servers())
    @rule(data=st.data(), code=CODES, times=TIMES)
    def answer(self, data: st.DataObject, code: int, times: int) -> None:
        one = data.draw(st.sampled_from(self.called.servers()))
        before, transmits = (one.state, one.retransmit_at, one.deadline_at), len(self.called.arriving)
        try:
            self.called.layer.respond(one.id, one.request.respond(code, to_tag="b"), self.now)
        except LocalProtocolError:
            # It has its answer, or RFC 4320 forbids this one.
            assert (one.state, one.retransmit_at, one.deadline_at) == before
            assert len(self.called.arriving) == transmits
        self.settle()
        self.deliver(times)

    @precondition(lambda self: self.caller.clients())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.caller.clients()))
        if one.is_invite_client:
            self.caller.layer.cancel(one.id, self.now)
        else:
            with pytest.raises(LocalProtocolError):
                self.caller.layer.cancel(one.id, self.now)
        self.settle()

    @precondition(lambda self: self.caller.accepted)
    @rule(back=st.integers(1, 3))
    def acknowledge(self, back: int) -> None:
        response = self.caller.accepted[-min(back, len(self.caller.accepted))]
        ack = sip("ACK", cseq=response.cseq.number, call_id=response.call_id)
        ack.headers.set("To", str(response.to))
        self.caller.layer.acknowledge(ack, self.caller.flow)
        self.settle()
        self.deliver(1)

    @rule(side=st.integers(0, 19))
    def break_flow(self, side: int) -> None:
        # Seldom: there is nothing left to look at after it.
        if side >= len(self.sides):
            return
        self.sides[side].layer.transport_failed(self.sides[side].flow, self.now)
        self.settle()

    @rule(seconds=st.sampled_from([0.1, 0.1, 0.6, 2.0, 6.0, 33.0]))
    def wait(self, seconds: float) -> None:
        self.pass_time(self.now + seconds)

    def pass_time(self, until: float) -> None:
        while (
            due := min((at for side in self.sides if (at := side.layer.timer()) is not None), default=until)
        ) < until:
            self.now = max(self.now, due)
            for side in self.sides:
                side.now = self.now
                side.layer.handle_timer(self.now)
            self.settle()
        self.now = until
        for side in self.sides:
            side.now = until

    @invariant()
    def every_state_has_a_row_for_what_comes(self) -> None:
        for side in getattr(self, "sides", []):
            assert side.unmet == []

    @invariant()
    def the_bound_holds(self) -> None:
        for side in getattr(self, "sides", []):
            # A CANCEL of ours goes out though there are too many.
            cancels = sum(one.is_cancel and one.is_client for one in side.layer._store.by_id.values())
            assert len(side.layer) <= LIMIT + cancels

    @invariant()
    def a_request_is_heard_once(self) -> None:
        for side in getattr(self, "sides", []):
            side.check_merging()
            assert set(side.requests.values()) <= {1}
            assert set(side.ends.values()) <= {1}

    def teardown(self) -> None:
        if not hasattr(self, "sides"):
            return
        for side in self.sides:
            side.arriving.clear()
        self.pass_time(self.now + 5000.0)
        self.settle()
        for side in self.sides:
            assert len(side.layer) == 0
            assert side.layer.timer() is None
            store = side.layer._store
            assert [store.clients, store.servers, store.accepted, store.merging] == [{}, {}, {}, {}]
            assert set(side.terminated.values()) <= {1}
        assert set(self.caller.terminated) == set(self.started)
        assert set(self.called.terminated) >= set(self.called.requests)
        assert set(self.caller.ends) == set(self.started)


TestTwoLayers = TwoLayers.TestCase
TestTwoLayers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
