"""A call from the client to the PBX, in the order in which it happens.

Each function is a cell of the table (``model/table.py``): it gets the call, already in its new phase, and the input.
"""

from __future__ import annotations

from dialog_schemas.calls import Answered, EndReason, Progress, RemoteRinging, Start, Trying

from dialog_bridge.model.actions import (
    Action,
    CloseMedia,
    OpenMedia,
    Record,
    Respond,
    SendAck,
    SendBye,
    SendCancel,
    SendInvite,
    TakeSipAnswer,
    TakeWebOffer,
)
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import Command, Input, Kind, MediaNews, MediaRefusal, MediaResult, Request, Response
from dialog_bridge.model.reasons import media_failure, reason_of


def start(call: Call, command: Command[Start]) -> list[Action]:
    """Call: media takes the client's offer first, for without a description of ours there is nothing to send."""
    return [Record(), OpenMedia(call.identity.sip_peer), TakeWebOffer(command.command.sdp)]


def invite(call: Call, offer: MediaResult) -> list[Action]:
    """Send the INVITE with our offer."""
    return [SendInvite(offer.sip), *call.tell(Trying)]


def invite_again(_: Call, __: Input) -> list[Action]:
    """Send the INVITE once more: the registrar that had it died. One that knows it drops it.

    From the address of before it has the branch of before: a PBX that has it takes it for a retransmission, and says
    again what it said last (RFC 3261 section 17.2.1).
    """
    return [SendInvite()]


def remote_ringing(call: Call, response: Response) -> list[Action]:
    """Let the client hear that the far end rings."""
    return [*call.tell(RemoteRinging), *early_media(call, response)]


def answered(call: Call, response: Response) -> list[Action]:
    """Confirm the SIP dialog at once, as the 200 is retransmitted until the ACK, then let media take the answer."""
    call.answered_at = call.now.utc
    answer = response.sdp or call.early_answer or b""
    return [SendAck(response.branch), Record(), TakeSipAnswer(answer)]


def talk(call: Call, answer: MediaResult) -> list[Action]:
    """Talk: each side has the other's description. Incoming calls without an offer come here too."""
    return call.describe(Answered, sdp=answer.web)


# What may come between.


def early_media(call: Call, response: Response) -> list[Action]:
    """Let media take a description that comes before the answer, unless it is the one it has."""
    if response.sdp is None or response.sdp == call.early_answer:
        return []
    call.early_answer = response.sdp
    return [TakeSipAnswer(response.sdp, done=Kind.EARLY_ANSWER_READY, refused=Kind.EARLY_ANSWER_REFUSED)]


def progress(call: Call, answer: MediaResult) -> list[Action]:
    """Give the client the description of early media, so that it hears the PBX's announcement."""
    return [] if answer.web is None else call.describe(Progress, sdp=answer.web)


def refused(call: Call, response: Response) -> list[Action]:
    """End a call that the PBX does not take; the registrar has sent the ACK."""
    reason = reason_of(response.code, local=response.local)
    return call.end(reason, response.phrase, response.code)


def fork_answered(_: Call, response: Response) -> list[Action]:
    """Confirm and end what a second branch began (RFC 3261 section 13.2.2.4)."""
    return [SendAck(response.branch), SendBye(response.branch)]


# Ends that the other side has no part in.


def cancel(call: Call, _: Input) -> list[Action]:
    """Cancel a call that the client gives up."""
    return [SendCancel(), *call.end(EndReason.NORMAL)]


def cancel_unanswered(call: Call, _: Input) -> list[Action]:
    """Cancel a call that rang for as long as it may."""
    return [SendCancel(), *call.end(EndReason.NO_ANSWER, f"not answered within {call.limits.ring:g} s")]


def cancel_broken(call: Call, event: MediaNews | MediaRefusal) -> list[Action]:
    """Cancel a call whose media is lost before the answer."""
    return [SendCancel(), *call.end(EndReason.ERROR, media_failure(event))]


def cancel_bye(call: Call, request: Request) -> list[Action]:
    """Cancel a call whose callee sends BYE before it answers; it must not, but what it means is clear."""
    return [Respond(request.transaction, 200), SendCancel(), *call.end(EndReason.NORMAL)]


def cancel_again(_: Call, __: Input) -> list[Action]:
    """Cancel an INVITE whose CANCEL may have died with the registrar; the next one has to know the INVITE first."""
    return [SendInvite(), SendCancel()]


def cancel_quietly(_: Call, __: Input) -> list[Action]:
    """Cancel and say nothing: another instance has the call, but an INVITE of ours is open."""
    return [SendCancel(), CloseMedia()]
