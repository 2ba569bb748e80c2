"""A call from the PBX to the client, in the order in which it happens.

Each function is a cell of the table (``model/table.py``): it gets the call, already in its new phase, and the input.
"""

from __future__ import annotations

from dialog_schemas.calls import Accept, Answered, EndReason, Incoming, Reject

from dialog_bridge.model.actions import (
    Action,
    OpenMedia,
    Record,
    Respond,
    TakeSipAnswer,
    TakeSipOffer,
    TakeWebAnswer,
)
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import Caller, Command, Input, MediaNews, MediaRefusal, MediaResult, Request
from dialog_bridge.model.reasons import CODE_OF_REASON, media_failure


def invited(call: Call, request: Request) -> list[Action]:
    """Have media make the offer for the client, out of the INVITE's or of nothing. 100 says that we have the call."""
    call.open_transaction, call.caller = request.transaction, request.caller
    peer = call.identity.sip_peer
    return [*provisional(call, 100), Record(), OpenMedia(peer), TakeSipOffer(request.sdp)]


def present(call: Call, offer: MediaResult) -> list[Action]:
    """Tell the dialog server who calls."""
    caller = call.caller or Caller("", "", "", "")
    return call.describe(
        Incoming,
        aor=call.identity.aor,
        from_uri=caller.from_uri,
        from_number=caller.from_number,
        from_name=caller.from_name,
        to_uri=caller.to_uri,
        sdp=offer.web,
    )


def ring(call: Call, _: Input) -> list[Action]:
    """Let the caller hear that it rings. 180 without a description: the PBX makes the sound."""
    return provisional(call, 180)


def accept(_: Call, command: Command[Accept]) -> list[Action]:
    """Have media turn the client's answer into one for the PBX, or our offer where the INVITE had none."""
    return [TakeWebAnswer(command.command.sdp)]


def answer(call: Call, answer: MediaResult) -> list[Action]:
    """Answer the INVITE."""
    call.answered_at = call.now.utc
    return [*call.answer(200, answer.sip), Record()]


def confirmed(call: Call, _: Request) -> list[Action]:
    """Talk, now that the ACK is here."""
    return call.tell(Answered)


def confirmed_with_answer(_: Call, request: Request) -> list[Action]:
    """Have media take the answer to our offer that the ACK brings; then they talk."""
    return [TakeSipAnswer(request.sdp or b"")]


# Ends before the answer. The 487 and its like are final: nothing of the call is left at the PBX.


def reject(call: Call, command: Command[Reject]) -> list[Action]:
    """Decline a call that the client does not take."""
    return decline(call, command.command.reason)


def hang_up_unanswered(call: Call, _: Input) -> list[Action]:
    """Decline a call that the client hangs up without having answered it."""
    return decline(call, EndReason.REJECTED)


def cancelled(call: Call, request: Request) -> list[Action]:
    """End a call that the caller gave up, or another device took; the registrar has answered the CANCEL."""
    reason = EndReason.PICKED_UP if request.elsewhere else EndReason.NO_ANSWER
    return [*call.answer(487), *call.end(reason, "cancelled by the caller")]


def unanswered(call: Call, _: Input) -> list[Action]:
    """Decline a call that rang for as long as it may."""
    return decline(call, EndReason.NO_ANSWER, f"not answered within {call.limits.ring:g} s")


def unprepared(call: Call, refusal: MediaRefusal) -> list[Action]:
    """Decline a call without media: 488 where there is nothing in common, 400 for what cannot be read."""
    return [*call.answer(refusal.code), *call.end(EndReason.ERROR, media_failure(refusal), refusal.code)]


def broken(call: Call, news: MediaNews) -> list[Action]:
    """Decline a call whose media is lost before the answer."""
    return decline(call, EndReason.ERROR, media_failure(news))


def stuck(call: Call, _: Input) -> list[Action]:
    """Decline a call for which media did not come to a result in time."""
    return decline(call, EndReason.ERROR, "media: no result in time")


def unacknowledged(call: Call, _: Input) -> list[Action]:
    """Decline a call whose PBX wants a reliable 180 and did not acknowledge it (RFC 3262 section 3)."""
    return decline(call, EndReason.ERROR, "no PRACK came for the ringing")


def unheard(call: Call, _: Input) -> list[Action]:
    """End a call whose INVITE died with its registrar: no response reaches the PBX any more."""
    call.open_transaction = None
    return call.end(EndReason.ERROR, "the registrar is gone")


def bye_early(call: Call, request: Request) -> list[Action]:
    """End a call whose caller sends BYE before the answer, as it may (RFC 3261 section 15.1.2)."""
    return [Respond(request.transaction, 200), *call.answer(487), *call.end(EndReason.NO_ANSWER, "ended by the caller")]


def provisional(call: Call, code: int) -> list[Action]:
    """Send a provisional response to the INVITE."""
    return [] if call.open_transaction is None else [Respond(call.open_transaction, code)]


def decline(call: Call, reason: EndReason, detail: str = "") -> list[Action]:
    """Answer the INVITE with the code of ``reason``."""
    code = CODE_OF_REASON[reason]
    return [*call.answer(code), *call.end(reason, detail, code)]
