"""The table of a call, cell by cell, and whole calls of random inputs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from dialog_bridge.model import actions
from dialog_bridge.model.call import Call, Identity, Limits, Now
from dialog_bridge.model.inputs import (
    Caller,
    Command,
    Input,
    Kind,
    MediaNews,
    MediaRefusal,
    MediaResult,
    Request,
    Response,
    Signal,
)
from dialog_bridge.model.machine import advance
from dialog_bridge.model.phases import ENDING, LIVE, PUBLIC_STATE, SETTLED, SETUP_IN, TIMER, Phase
from dialog_bridge.model.reasons import CODE_OF_REASON, REASON_OF_CODE, reason_of
from dialog_bridge.model.table import TABLE
from dialog_schemas import calls
from dialog_schemas.calls import CallState, Ended, EndReason
from dialog_schemas.instances import CallDirection
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2026, 1, 1, tzinfo=UTC)
SDP = b"v=0"

COMMANDS: dict[Kind, calls.CallCommand] = {
    Kind.START: calls.Start(call_id="c", user_id=1, to="1", sdp="o"),
    Kind.RING: calls.Ringing(call_id="c"),
    Kind.ACCEPT: calls.Accept(call_id="c", sdp="a"),
    Kind.REJECT: calls.Reject(call_id="c"),
    Kind.HANGUP: calls.Hangup(call_id="c"),
    Kind.WEB_OFFER: calls.SetSdp(call_id="c", sdp_type=calls.SdpType.OFFER, sdp="o"),
    Kind.WEB_ANSWER: calls.SetSdp(call_id="c", sdp_type=calls.SdpType.ANSWER, sdp="a"),
    Kind.ADD_ICE: calls.AddIce(call_id="c", candidate="candidate:1"),
    Kind.SEND_DTMF: calls.SendDtmf(call_id="c", digits="1"),
    Kind.HOLD: calls.Hold(call_id="c"),
    Kind.RESUME: calls.Resume(call_id="c"),
    Kind.TRANSFER: calls.Transfer(call_id="c", to="2"),
}
REQUESTS = (
    Kind.INVITE,
    Kind.CANCEL,
    Kind.ACK,
    Kind.ACK_ANSWER,
    Kind.BYE,
    Kind.REINVITE,
    Kind.REINVITE_EMPTY,
    Kind.UPDATE_OFFER,
    Kind.INFO_DTMF,
    Kind.NOTIFY_TRYING,
    Kind.NOTIFY_DONE,
    Kind.NOTIFY_FAILED,
)
ANSWERED_REQUESTS = tuple(
    kind for kind in REQUESTS if kind not in {Kind.ACK, Kind.ACK_ANSWER, Kind.CANCEL, Kind.INVITE}
)
RESPONSES = {
    Kind.PROGRESS: 183,
    Kind.REMOTE_RINGING: 180,
    Kind.EARLY_MEDIA: 183,
    Kind.ANSWERED: 200,
    Kind.FORKED: 200,
    Kind.REFUSED: 486,
    Kind.REINVITE_OK: 200,
    Kind.REINVITE_GLARE: 491,
    Kind.REINVITE_REFUSED: 488,
    Kind.DIALOG_GONE: 481,
    Kind.BYE_DONE: 200,
    Kind.REFER_ACCEPTED: 202,
    Kind.REFER_REFUSED: 603,
}
RESULTS = (
    Kind.OFFER_READY,
    Kind.EARLY_ANSWER_READY,
    Kind.ANSWER_READY,
    Kind.WEB_OFFER_READY,
    Kind.SIP_ANSWER_READY,
    Kind.REANSWER_READY,
)
REFUSALS = (Kind.EARLY_ANSWER_REFUSED, Kind.MEDIA_REFUSED)
NEWS = {
    Kind.MEDIA_CONNECTED: "",
    Kind.MEDIA_LOST: "why",
    Kind.MEDIA_SILENT: "",
    Kind.CANDIDATE_FOUND: "candidate:2",
    Kind.DIGIT_RECEIVED: "5",
}
BEGINNINGS = (
    Kind.START,
    Kind.INVITE,
    Kind.ADOPT_CONFIRMED,
    Kind.ADOPT_OUTGOING,
    Kind.ADOPT_INCOMING,
    Kind.ADOPT_ENDED,
    Kind.ADOPT_CANCELLED,
)
HEARD_BEFORE = {Kind.ADOPT_ENDED, Kind.ADOPT_CANCELLED}
"""Beginnings of which the dialog server has heard the end."""


def input_of(kind: Kind) -> Input:
    if kind in COMMANDS:
        return Command(kind, COMMANDS[kind], "sip:2@pbx")
    if kind in REQUESTS:
        caller = Caller("sip:1@pbx", "1", "", "sip:2@pbx")
        return Request(kind, "t-" + kind, SDP, digit="1", duration_ms=100, caller=caller)
    if kind in RESPONSES:
        return Response(kind, RESPONSES[kind], "words", SDP, branch="b")
    if kind in RESULTS:
        return MediaResult(kind, web="w", sip=SDP)
    if kind in REFUSALS:
        return MediaRefusal(kind, 488, "why")
    if kind in NEWS:
        return MediaNews(kind, NEWS[kind], duration_ms=100)
    return Signal(kind, "t")


def at(seconds: float) -> Now:
    return Now(seconds, START + timedelta(seconds=seconds))


def call_in(phase: Phase, direction: CallDirection = CallDirection.OUTGOING) -> Call:
    identity = Identity("c", direction, "1@pbx", 1, "pbx", START)
    call = Call(identity, Limits(), Random(1), at(0), phase=phase)
    if phase in SETUP_IN or phase in {Phase.REANSWERING, Phase.UPDATING}:
        call.open_transaction = "open"
    return call


def of(kind: type, done: list[actions.Action]) -> list:
    return [action for action in done if isinstance(action, kind)]


CELLS = [(phase, kind) for phase in Phase for kind in Kind]


def test_every_kind_has_an_input() -> None:
    assert {kind for kind in Kind if input_of(kind).kind is kind} == set(Kind)


@pytest.mark.parametrize(("phase", "kind"), CELLS)
def test_cell(phase: Phase, kind: Kind) -> None:
    step = TABLE[phase][kind]
    call = call_in(phase)
    done = advance(call, input_of(kind), at(1))
    # What was postponed is replayed on the way into TALKING.
    assert (step.to or phase) in {call.phase, call.left}

    ends = len(of(actions.PublishEnded, done))
    over = {*ENDING, Phase.FINISHED}
    quietly = kind in {Kind.FENCED, *HEARD_BEFORE}
    if phase not in over and call.phase in over and not quietly:
        assert ends == 1, "the dialog server hears of every end"
        assert of(actions.CloseMedia, done), "no media outlives its call"
    else:
        assert ends == 0
    if kind is Kind.FENCED and phase in LIVE:
        assert of(actions.CloseMedia, done)
        assert not of(actions.Publish, done)
    assert bool(of(actions.Forget, done)) == (call.phase is Phase.FINISHED and phase is not Phase.FINISHED)

    if kind in ANSWERED_REQUESTS and call.open_transaction != f"t-{kind}":
        answers = [action for action in of(actions.Respond, done) if action.transaction == f"t-{kind}"]
        assert [answer.code >= 200 for answer in answers] == [True], "every request gets one final response"
    if call.phase in over:
        assert call.open_transaction is None or phase in over, "no request of the PBX stays open after the end"
    if kind in {Kind.ANSWERED, Kind.REINVITE_OK, Kind.FORKED} and not (
        kind is Kind.ANSWERED and phase not in {Phase.INVITING, Phase.EARLY, Phase.ALERTING, Phase.CANCELLING}
    ):
        assert of(actions.SendAck, done), "every 2xx to an INVITE gets an ACK"
    for published in of(actions.Publish, done):
        assert phase not in over
        assert published.event.state in {PUBLIC_STATE[phase], PUBLIC_STATE[call.phase]}


@pytest.mark.parametrize("phase", [phase for phase in Phase if TIMER[phase] is not None])
def test_a_phase_that_waits_does_not_wait_for_ever(phase: Phase) -> None:
    assert TABLE[phase][Kind.DEADLINE].to not in {None, phase}


def test_phases_that_follow_each_other_share_their_timer() -> None:
    call = call_in(Phase.NEW)
    advance(call, input_of(Kind.START), at(0))
    advance(call, input_of(Kind.OFFER_READY), at(1))
    assert call.deadline == 1 + call.limits.ring
    advance(call, input_of(Kind.REMOTE_RINGING), at(50))
    advance(call, input_of(Kind.EARLY_MEDIA), at(60))
    assert call.deadline == 1 + call.limits.ring


@pytest.mark.parametrize(
    ("direction", "least", "most"), [(CallDirection.OUTGOING, 2.1, 4.0), (CallDirection.INCOMING, 0.0, 2.0)]
)
def test_after_glare_the_owner_of_the_call_id_waits_longer(direction: CallDirection, least: float, most: float) -> None:
    for _ in range(20):
        call = call_in(Phase.REINVITING, direction)
        advance(call, input_of(Kind.REINVITE_GLARE), at(100))
        assert call.deadline is not None
        assert least <= call.deadline - 100 <= most


def test_codes_and_reasons() -> None:
    assert set(CODE_OF_REASON) == set(EndReason)
    assert all(400 <= code <= 699 for code in CODE_OF_REASON.values())
    assert all(reason_of(code, local=True) is EndReason.ERROR for code in REASON_OF_CODE)
    assert reason_of(599, local=False) is EndReason.ERROR


def test_bands_cover_all_phases() -> None:
    assert set(Phase) == {Phase.NEW, *LIVE, *ENDING, Phase.FINISHED}
    assert set(PUBLIC_STATE) == set(TIMER) == set(TABLE) == set(Phase)
    assert {PUBLIC_STATE[phase] for phase in SETTLED} == {CallState.TALKING}


@given(st.sampled_from(BEGINNINGS), st.lists(st.sampled_from([*Kind, *[Kind.DEADLINE] * 3]), max_size=60))
@settings(max_examples=1500, deadline=None)
def test_any_order_of_inputs_ends_once(beginning: Kind, kinds: list[Kind]) -> None:
    """Whatever comes in whatever order: the call moves on, ends exactly once, and leaves nothing open."""
    incoming = beginning in {Kind.INVITE, Kind.ADOPT_INCOMING}
    call = call_in(Phase.NEW, CallDirection.INCOMING if incoming else CallDirection.OUTGOING)
    done: list[actions.Action] = []
    now = 0.0
    for kind in (beginning, *kinds):
        now += 0.5
        done += advance(call, input_of(kind), at(now))
        assert (call.deadline is None) == (TIMER[call.phase] is None)
    for _ in range(12):
        if call.phase is Phase.FINISHED:
            break
        assert call.deadline is not None, "stuck"
        now = max(now, call.deadline)
        done += advance(call, Signal(Kind.DEADLINE), at(now))
    assert call.phase is Phase.FINISHED, "does not end by itself"

    fenced = Kind.FENCED in kinds
    ends = [action.event for action in of(actions.PublishEnded, done)]
    assert len(ends) == (0 if beginning in HEARD_BEFORE else 1) or (fenced and len(ends) <= 1)
    assert len(of(actions.Forget, done)) == 1
    if of(actions.OpenMedia, done):
        assert of(actions.CloseMedia, done)
    told = [action.event for action in done if isinstance(action, actions.Publish | actions.PublishEnded)]
    assert [event.seq for event in told] == list(range(len(told)))
    assert not any(isinstance(event, Ended) for event in told[:-1]), "nothing follows `ended`"
    finals = [action.transaction for action in of(actions.Respond, done) if action.code >= 200]
    assert len([name for name in finals if name == f"t-{Kind.INVITE}"]) <= 1, "one final response to an INVITE"
