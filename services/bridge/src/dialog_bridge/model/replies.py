"""Which column of the table a message of the PBX belongs to, and which requests never get that far.

A request inside a SIP dialog whose answer is the same in every phase is answered here, so that the table holds only
what a call's state matters for.
"""

from __future__ import annotations

from typing import NamedTuple

from dialog_sip import Request
from dialog_sip import Response as SipResponse

from dialog_bridge.model import bodies
from dialog_bridge.model.inputs import Kind, Response
from dialog_bridge.model.inputs import Request as RequestInput


class Reply(NamedTuple):
    """An answer that does not depend on the call's phase."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()


ALWAYS: dict[str, Reply] = {
    "OPTIONS": Reply(200, (("Accept", "application/sdp"),)),
    "PRACK": Reply(200),
    "REFER": Reply(603),
    "MESSAGE": Reply(415, (("Accept", "application/sdp"),)),
    "SUBSCRIBE": Reply(489),
}
"""A PRACK that acknowledges nothing does not get here; the PBX may not send the messenger's client elsewhere (RFC 3515
section 2.4.2)."""

NOT_KNOWN = Reply(501)


def classify(request: Request, transaction: str) -> RequestInput | Reply:
    """Return the input that a request in the SIP dialog is, or the answer to it. ACK has :func:`ack_input`."""
    read = _READERS.get(request.method)
    if read is None:
        return ALWAYS.get(request.method, NOT_KNOWN)
    return read(request, transaction)


def ack_input(ack: Request, transaction: str, *, awaits_answer: bool) -> RequestInput:
    """Return the input that an ACK is. ``awaits_answer``: our 2xx made an offer."""
    return RequestInput(Kind.ACK_ANSWER if awaits_answer else Kind.ACK, transaction, sdp=bodies.sdp_of(ack))


def _bye(_: Request, transaction: str) -> RequestInput:
    return RequestInput(Kind.BYE, transaction)


def cancel_input(request: Request, transaction: str) -> RequestInput:
    """Return the input that a CANCEL is."""
    return RequestInput(Kind.CANCEL, transaction, elsewhere=bodies.taken_elsewhere(request))


def _invite(request: Request, transaction: str) -> RequestInput:
    sdp = bodies.sdp_of(request)
    kind = Kind.REINVITE_EMPTY if sdp is None else Kind.REINVITE
    return RequestInput(kind, transaction, sdp=sdp, holds=bodies.puts_on_hold(sdp))


def _update(request: Request, transaction: str) -> RequestInput | Reply:
    sdp = bodies.sdp_of(request)
    if sdp is None:
        return Reply(200)
    return RequestInput(Kind.UPDATE_OFFER, transaction, sdp=sdp, holds=bodies.puts_on_hold(sdp))


def _info(request: Request, transaction: str) -> RequestInput | Reply:
    digit = bodies.digit_of(request)
    if digit is None:
        return Reply(415, (("Accept", "application/dtmf-relay, application/dtmf"),))
    return RequestInput(Kind.INFO_DTMF, transaction, digit=digit[0], duration_ms=digit[1])


def _notify(request: Request, transaction: str) -> RequestInput | Reply:
    kind = bodies.transfer_progress(request)
    return Reply(489) if kind is None else RequestInput(kind, transaction)


_READERS = {
    "BYE": _bye,
    "INVITE": _invite,
    "UPDATE": _update,
    "INFO": _info,
    "NOTIFY": _notify,
}


def invite_kind(response: SipResponse, *, answered_branch: str | None) -> Kind:
    """Return what a response to our first INVITE is. ``answered_branch``: whose 2xx came first."""
    if response.is_success:
        if answered_branch is None:
            return Kind.ANSWERED
        # The same branch again is an answer to a retransmission: it needs its ACK and nothing else.
        return Kind.REINVITE_OK if answered_branch == (response.to.tag or "") else Kind.FORKED
    if response.is_final:
        return Kind.REFUSED
    if response.code == 180:
        return Kind.REMOTE_RINGING
    return Kind.PROGRESS if bodies.sdp_of(response) is None else Kind.EARLY_MEDIA


def in_dialog_kind(method: str, response: SipResponse) -> Kind | None:
    """Return what a response to a request of ours in the SIP dialog is; None: nothing to a call."""
    if not response.is_final:
        return None
    if method == "BYE":
        return Kind.BYE_DONE
    if response.code in {408, 481}:
        return Kind.DIALOG_GONE
    if method == "REFER":
        return Kind.REFER_ACCEPTED if response.is_success else Kind.REFER_REFUSED
    if response.is_success:
        return Kind.REINVITE_OK
    return Kind.REINVITE_GLARE if response.code == 491 else Kind.REINVITE_REFUSED


def response_input(kind: Kind, response: SipResponse, *, local: bool) -> Response:
    """Return a response as an input."""
    return Response(
        kind=kind,
        code=response.code,
        phrase=response.phrase,
        sdp=bodies.sdp_of(response),
        local=local,
        branch=response.to.tag or "",
    )
