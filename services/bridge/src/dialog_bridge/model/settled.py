"""What happens while both sides talk: hold, re-INVITE in both directions, glare, digits, transfer.

One offer is under way at a time (RFC 3264 section 4). A wish of the client that comes while another is being met is
postponed until the call is in ``TALKING`` again; an offer of the PBX that comes then is answered with 491, and the PBX
tries again (RFC 3261 section 14.2). What we lost to glare we make anew, so that the description is always the newest.
"""

from __future__ import annotations

from dialog_schemas.calls import AddIce, DtmfReceived, SdpChanged, SdpType, SendDtmf, SetSdp, Transfer

from dialog_bridge.model.actions import (
    Action,
    AddCandidate,
    MakeSipOffer,
    Record,
    Respond,
    SendAck,
    SendDigits,
    SendRefer,
    SendReinvite,
    TakeSipAnswer,
    TakeSipReoffer,
    TakeWebOffer,
)
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import (
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


def postpone(call: Call, event: Input) -> list[Action]:
    """Keep a wish until the call is settled."""
    call.postponed.append(event)
    return []


# Our offers: hold, resume, the client's own.


def hold(call: Call, _: Input) -> list[Action]:
    """Ask the SIP side to be quiet (RFC 3264 section 8.4)."""
    call.wants_hold = True
    return [MakeSipOffer(held=True)]


def resume(call: Call, _: Input) -> list[Action]:
    """Ask the SIP side back."""
    call.wants_hold = False
    return [MakeSipOffer(held=False)]


def reoffer(call: Call, _: Input) -> list[Action]:
    """Make the offer again that glare lost."""
    return [MakeSipOffer(held=call.wants_hold)]


def take_web_offer(_: Call, command: Command[SetSdp]) -> list[Action]:
    """Have media take a new offer of the client, such as for an ICE restart."""
    return [TakeWebOffer(command.command.sdp)]


def reinvite(_: Call, offer: MediaResult) -> list[Action]:
    """Send our offer."""
    return [SendReinvite(offer.sip)]


def reinvite_accepted(call: Call, response: Response) -> list[Action]:
    """Have media take the PBX's answer to our re-INVITE."""
    call.holds = call.wants_hold
    return [SendAck(response.branch), Record(), TakeSipAnswer(response.sdp or b"")]


def settled(call: Call, answer: MediaResult) -> list[Action]:
    """Tell what has changed, now that offer and answer are settled anew."""
    news = call.tell_held()
    if answer.web is not None:
        news += call.tell(SdpChanged, sdp_type=SdpType.ANSWER, sdp=answer.web)
    return news


def reinvite_refused(call: Call, _: Input) -> list[Action]:
    """Leave all as it was, since the PBX does not agree (RFC 3261 section 14.1)."""
    call.wants_hold = call.holds
    return []


def offer_again(call: Call, _: Input) -> list[Action]:
    """Remember that the PBX does not know yet what we want."""
    if not any(event.kind is Kind.REOFFER for event in call.postponed):
        call.postponed.appendleft(Signal(Kind.REOFFER))
    return []


def move(call: Call, event: Input) -> list[Action]:
    """Remember that the PBX does not know our new registrar: the next offer brings its Contact (RFC 3261 12.2.1.1).

    What was under way died with the old one, a request of the PBX with its transaction.
    """
    call.open_transaction = None
    return offer_again(call, event)


# Offers of the PBX.


def take_reoffer(call: Call, request: Request) -> list[Action]:
    """Have media answer the PBX's offer."""
    call.open_transaction, call.peer_holds = request.transaction, request.holds
    return [TakeSipReoffer(request.sdp or b"")]


def make_late_offer(call: Call, request: Request) -> list[Action]:
    """Make the offer that a re-INVITE without one asks for; the answer comes in the ACK."""
    call.open_transaction = request.transaction
    return [MakeSipOffer(held=call.wants_hold, done=Kind.REANSWER_READY)]


def reanswer(call: Call, answer: MediaResult) -> list[Action]:
    """Answer the re-INVITE or UPDATE."""
    return [*call.answer(200, answer.sip), *call.tell_held(), Record()]


def reoffer_refused(call: Call, refusal: MediaRefusal) -> list[Action]:
    """Refuse an offer that media cannot take, and leave all as it was."""
    call.peer_holds = call.told_held and not call.holds
    return call.answer(refusal.code)


def take_late_answer(_: Call, request: Request) -> list[Action]:
    """Have media take the answer to our offer that the ACK brings."""
    return [TakeSipAnswer(request.sdp or b"")]


def refuse_glare(_: Call, request: Request) -> list[Action]:
    """Refuse an offer while another one is under way: the PBX tries again in a while."""
    return [Respond(request.transaction, 491)]


def acknowledge(_: Call, response: Response) -> list[Action]:
    """Acknowledge a 2xx that nobody waits for any more."""
    return [SendAck(response.branch)]


# Digits and candidates.


def send_dtmf(_: Call, command: Command[SendDtmf]) -> list[Action]:
    """Play digits to the SIP side (RFC 4733)."""
    return [SendDigits(command.command.digits, command.command.duration_ms)]


def digit(call: Call, news: MediaNews) -> list[Action]:
    """Tell which key the SIP side pressed."""
    return call.tell(DtmfReceived, digit=news.text, duration_ms=news.duration_ms)


def info_dtmf(call: Call, request: Request) -> list[Action]:
    """Tell which key the SIP side pressed, where it says so with INFO (RFC 6086)."""
    told = call.tell(DtmfReceived, digit=request.digit, duration_ms=request.duration_ms)
    return [Respond(request.transaction, 200), *told]


def add_ice(_: Call, command: Command[AddIce]) -> list[Action]:
    """Give media a candidate of the client."""
    ice = command.command
    return [AddCandidate(ice.candidate, ice.sdp_mid, ice.sdp_mline_index)]


def tell_candidate(call: Call, news: MediaNews) -> list[Action]:
    """Give the client a candidate of ours."""
    return call.tell_candidate(news.text, news.mid)


# Transfer.


def transfer(call: Call, command: Command[Transfer]) -> list[Action]:
    """Send the SIP side elsewhere (RFC 3515, with RFC 3891 where another call is replaced)."""
    call.transfer_target = command.target
    return [SendRefer(command.target)]


def accept_notify(_: Call, request: Request) -> list[Action]:
    """Take a NOTIFY that says how the transfer goes."""
    return [Respond(request.transaction, 200)]


def refuse_notify(_: Call, request: Request) -> list[Action]:
    """Refuse a NOTIFY that belongs to no REFER of ours (RFC 6665 section 4.1.3)."""
    return [Respond(request.transaction, 481)]
