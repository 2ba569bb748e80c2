"""Whole calls with their SIP leg and media, in any order of what the client, the PBX, media and time may do."""

from __future__ import annotations

import asyncio

from dialog_bridge.ports import MediaError
from dialog_schemas import calls
from dialog_schemas.calls import CallCommand, Ended
from fixtures.bridge import AOR, HELD_SDP, SDP, BridgeWorld
from hypothesis import given, settings
from hypothesis import strategies as st

CALL = "call-1"
COMMANDS: tuple[type[CallCommand], ...] = (calls.Ringing, calls.Hold, calls.Resume, calls.Reject, calls.Hangup)
RESPONSES = (("INVITE", 180), ("INVITE", 183), ("INVITE", 200), ("INVITE", 486), ("INVITE", 491), ("BYE", 200))
REQUESTS = ("BYE", "INVITE", "ACK", "UPDATE", "INFO", "OPTIONS", "CANCEL", "NOTIFY")
STEPS = st.one_of(
    st.tuples(st.just("command"), st.sampled_from(COMMANDS)),
    st.tuples(st.just("accept"), st.none()),
    st.tuples(st.just("transfer"), st.none()),
    st.tuples(st.just("response"), st.sampled_from(RESPONSES)),
    st.tuples(st.just("fork"), st.none()),
    st.tuples(st.just("request"), st.sampled_from(REQUESTS)),
    st.tuples(st.just("held"), st.none()),
    st.tuples(
        st.just("media"), st.sampled_from(("failed", "silent", "pause", "resume", "refuse", "digit", "candidate"))
    ),
    st.tuples(st.just("time"), st.sampled_from((1.0, 5.0, 30.0))),
    st.tuples(st.just("registrar"), st.none()),
    st.tuples(st.just("anew"), st.booleans()),
)


class Play:
    """One call, and somebody who does one thing after another to it."""

    def __init__(self, incoming: bool) -> None:
        self.bridge = BridgeWorld()
        self.incoming = incoming
        self.call_id = CALL
        self.cseq = 20
        self.registrars = ["registrar-1"]
        self.starts = 0

    async def begin(self) -> None:
        if not self.incoming:
            await self.bridge.start(CALL)
            return
        self.invite = await self.bridge.invite()
        self.call_id = self.bridge.outbox.records[0].call_id

    async def do(self, step: str, what: object) -> None:
        await getattr(self, f"_{step}")(what)
        await self.bridge.settle()

    async def _command(self, command: type[CallCommand]) -> None:
        await self.bridge.command(command(call_id=self.call_id))

    async def _accept(self, _: object) -> None:
        if self.call_id not in self.bridge.outbox.forgotten:
            await self.bridge.command(calls.Accept(call_id=self.call_id, sdp="answer"))

    async def _transfer(self, _: object) -> None:
        if self.call_id not in self.bridge.outbox.forgotten:
            await self.bridge.command(calls.Transfer(call_id=self.call_id, to="200"))

    async def _response(self, what: tuple[str, int]) -> None:
        method, code = what
        if self.bridge.sent(method):
            await self.bridge.answer(method, code, body=SDP if method == "INVITE" and code in {183, 200} else b"")

    async def _fork(self, _: object) -> None:
        if not self.incoming and self.bridge.sent("INVITE"):
            await self.bridge.answer("INVITE", 200, tag="fork", body=SDP, which=0)

    async def _request(self, method: str) -> None:
        self.cseq += 1
        if method == "CANCEL":
            if self.incoming:
                await self.bridge.cancel(self.invite)
            return
        await self.bridge.request(method, cseq=self.cseq)

    async def _held(self, _: object) -> None:
        self.cseq += 1
        await self.bridge.request("INVITE", body=HELD_SDP, cseq=self.cseq)

    async def _media(self, what: str) -> None:
        if what == "refuse":
            self.bridge.media.refuse["take_sip_reoffer"] = MediaError(488, "no")
        for session in self.bridge.media.sessions:
            if what == "failed":
                session.events.failed("lost")
            elif what == "silent":
                session.events.silent()
            elif what == "pause":
                session.hold.clear()
            elif what == "resume":
                session.hold.set()
            elif what == "digit":
                session.events.digit_received("1", 100)
            elif what == "candidate":
                session.events.candidate_found("candidate:1", "0")

    async def _time(self, seconds: float) -> None:
        await self.bridge.pass_time(seconds, *self.registrars)

    async def _registrar(self, _: object) -> None:
        new = f"registrar-{len(self.registrars) + 1}"
        self.registrars = [new]
        self.bridge.registrars.holders[AOR] = new

    async def _anew(self, fixed: bool) -> None:
        self.starts += 1
        self.bridge.registrars.fixed = fixed
        self.bridge.incarnations[self.registrars[0]] = f"start {self.starts}"
        await self.bridge.pass_time(1.0, *self.registrars)

    async def end(self) -> None:
        """Let time pass until nothing can go on by itself; the longest call is the longest wait."""
        for _ in range(12):
            if not len(self.bridge.switchboard):
                break
            self.bridge.clock.advance(12 * 3600)
            for alive in (self.bridge.desk.instance, *self.registrars):
                self.bridge.beat(alive)
            self.bridge.switchboard.tick()
            await self.bridge.settle()


async def play(incoming: bool, steps: list[tuple[str, object]]) -> None:
    game = Play(incoming)
    await game.begin()
    for step, what in steps:
        await game.do(step, what)
    await game.end()
    bridge = game.bridge
    assert len(bridge.switchboard) == 0, "a call is stuck"
    assert bridge.names().count("call-ended") == 1, "a call ends once"
    assert isinstance(bridge.events[-1], Ended), "nothing follows the end"
    assert [event.seq for event in bridge.events] == list(range(len(bridge.events)))
    assert [session.closed for session in bridge.media.sessions] == [1] * len(bridge.media.sessions)
    assert bridge.outbox.forgotten == [game.call_id]
    if incoming and game.registrars == ["registrar-1"] and not game.starts:
        finals = [
            response for response in bridge.responses("INVITE") if response.is_final and response.cseq.number == 7
        ]
        assert len(finals) == 1, "an INVITE is answered once"


@given(st.booleans(), st.lists(STEPS, max_size=25))
@settings(max_examples=250, deadline=None)
def test_any_order(incoming: bool, steps: list[tuple[str, object]]) -> None:
    asyncio.run(play(incoming, steps))
