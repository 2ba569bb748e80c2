"""How calls end once the SIP dialog stands, and what is cleared away after ``ended``.

Whoever ends a call, the dialog server hears it at once and exactly once; BYE, CANCEL and their answers follow in the
ending phases, in which the directory still has the call, so that another instance would go on clearing.
"""

from __future__ import annotations

from dialog_schemas.calls import EndReason, Transferred

from dialog_bridge.model.actions import Action, CloseMedia, Record, Respond, SendAck, SendBye
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import Input, MediaNews, MediaRefusal, Request, Response
from dialog_bridge.model.reasons import media_failure


def hang_up(call: Call, _: Input) -> list[Action]:
    """End a call that the client hangs up."""
    return [*call.answer(487), SendBye(), *call.end(EndReason.NORMAL)]


def remote_hang_up(call: Call, request: Request) -> list[Action]:
    """End a call that the PBX hangs up; its own open request gets 487 (RFC 3261 section 15.1.2)."""
    return [Respond(request.transaction, 200), *call.answer(487), *call.end(EndReason.NORMAL)]


def break_off(call: Call, event: MediaNews | MediaRefusal) -> list[Action]:
    """End a call whose media is lost, or whose answer media cannot take."""
    return [*call.answer(500), SendBye(), *call.end(EndReason.ERROR, media_failure(event))]


def time_out(call: Call, _: Input) -> list[Action]:
    """End a call in which somebody did not do in time what the phase waits for."""
    return [*call.answer(500), SendBye(), *call.end(EndReason.ERROR, f"no result in time, {call.left}")]


def longest(call: Call, _: Input) -> list[Action]:
    """End a call that is as long as a call may be."""
    return [SendBye(), *call.end(EndReason.NORMAL, f"longer than {call.limits.call:g} s")]


def dialog_gone(call: Call, response: Response) -> list[Action]:
    """End a call whose SIP dialog the PBX does not know any more (RFC 3261 section 12.2.1.2)."""
    return [*call.answer(500), SendBye(), *call.end(EndReason.ERROR, response.phrase, response.code)]


def expired(call: Call, _: Input) -> list[Action]:
    """End a call whose PBX gave no sign of life for as long as was agreed (RFC 4028 section 10)."""
    return [*call.answer(500), SendBye(), *call.end(EndReason.ERROR, "the session timer ran out: the PBX is silent")]


def never_confirmed(call: Call, _: Input) -> list[Action]:
    """End a call whose 200 got no ACK (RFC 3261 section 13.3.1.4)."""
    return [*call.answer(500), SendBye(), *call.end(EndReason.ERROR, "no ACK came for the answer")]


def lost(call: Call, _: Input) -> list[Action]:
    """End a call whose INVITE died with its registrar: no answer reaches us, and no CANCEL the PBX."""
    return call.end(EndReason.ERROR, "the registrar is gone")


def let_go(call: Call, _: Input) -> list[Action]:
    """Say and send nothing: another instance holds the call, and answers what is open."""
    call.open_transaction = None
    return [CloseMedia()]


def transferred(call: Call, request: Request) -> list[Action]:
    """End our part of a call whose PBX reached the target of the transfer, or left to do so."""
    told = call.tell(Transferred, to=call.transfer_target)
    return [Respond(request.transaction, 200), *call.answer(487), *told, *call.end(EndReason.TRANSFER)]


def transfer_done(call: Call, request: Request) -> list[Action]:
    """Do as :func:`transferred`, where the PBX leaves the BYE to us."""
    return [*transferred(call, request), SendBye()]


# Before the answer, with nothing at the PBX yet.


def give_up(call: Call, _: Input) -> list[Action]:
    """End a call that the client hangs up before the INVITE went out."""
    return call.end(EndReason.NORMAL)


def no_media(call: Call, refusal: MediaRefusal) -> list[Action]:
    """End a call whose offer media cannot take."""
    return call.end(EndReason.ERROR, media_failure(refusal))


def media_lost(call: Call, news: MediaNews) -> list[Action]:
    """End a call whose media is lost before the INVITE went out."""
    return call.end(EndReason.ERROR, media_failure(news))


def media_stuck(call: Call, _: Input) -> list[Action]:
    """End a call for which media did not come to a result in time."""
    return call.end(EndReason.ERROR, "media: no result in time")


# Between our 200 and its ACK, when BYE is not allowed yet (RFC 3261 section 15).


def hang_up_unconfirmed(call: Call, _: Input) -> list[Action]:
    """End a call that the client hangs up in this moment: BYE follows the ACK."""
    return call.end(EndReason.NORMAL)


def break_off_unconfirmed(call: Call, news: MediaNews) -> list[Action]:
    """End a call whose media is lost in this moment."""
    return call.end(EndReason.ERROR, media_failure(news))


# After `ended`.


def bye(_: Call, __: Input) -> list[Action]:
    """End the SIP dialog, now that it is allowed, or again where a registrar took the first BYE to its grave."""
    return [SendBye()]


def answered_too_late(_: Call, response: Response) -> list[Action]:
    """Confirm and end what a 200 began that crossed our CANCEL."""
    return [SendAck(response.branch), SendBye(), Record()]


def accept_bye(_: Call, request: Request) -> list[Action]:
    """Take a BYE that crossed ours, or that nobody waits for."""
    return [Respond(request.transaction, 200)]


def over(_: Call, request: Request) -> list[Action]:
    """Refuse a request for a SIP dialog that does not stand, or no longer."""
    return [Respond(request.transaction, 481)]


def nothing(_: Call, __: Input) -> list[Action]:
    """Do nothing."""
    return []
