"""Which transaction a message belongs to, and the requests that one makes itself (RFC 3261 sections 17 and 9.1)."""

from __future__ import annotations

from dialog_sip.message import Message, Request, Response
from dialog_sip.transactions.events import FlowLike
from dialog_sip.transactions.transaction import Key
from dialog_sip.values import BRANCH_COOKIE, CSeq, Via

DEFAULT_PORT = 5060
"""Port of a sent-by that names none (RFC 3261 section 18.2.2)."""


def client_key(branch: str, method: str) -> Key:
    """Return the key of a request of ours, and of the responses to it (RFC 3261 section 17.1.3)."""
    return branch, method


def server_key(request: Request, method: str) -> Key:
    """Return the key of a peer's request (RFC 3261 section 17.2.3); ``method`` is INVITE for its ACK and CANCEL."""
    via = request.via
    branch = via.branch
    if branch is not None and branch.startswith(BRANCH_COOKIE) and branch != BRANCH_COOKIE:
        return branch, via.sent_by, method
    # A peer of RFC 2543, or a cookie with nothing behind it (RFC 4475 section 3.2.1). The To tag is left out: an ACK
    # has that of the response, which the request had not.
    cseq = str(request.cseq.number)
    return request.uri, request.call_id, request.from_.tag or "", cseq, via.sent_by, branch or "", method


def ack_key(message: Message, side: str) -> Key:
    """Return what the ACK for a 2xx and its INVITE have in common (RFC 3261 section 13.2.2.4).

    ``side`` keeps ours and the peers' apart.
    """
    return side, message.call_id, str(message.cseq.number), message.from_.tag or ""


def merge_key(request: Request) -> Key | None:
    """Return what a request shares with its copies that a proxy sent by other ways; None within a SIP dialog.

    RFC 3261 section 8.2.2.2. The Request-URI is part of it: an edge serves many users, and a call that forks to two of
    them is no copy. A CANCEL follows its INVITE and has none.
    """
    if request.method == "CANCEL" or request.to.tag is not None:
        return None
    return request.uri, request.call_id, request.from_.tag or "", str(request.cseq.number), request.method


def note_source(request: Request, flow: FlowLike) -> None:
    """Write into the top Via what is seen of its sender (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
    host, port = flow.remote
    via = request.via
    if "rport" in via.params:
        request.via = via.with_params(rport=str(port), received=host)
    elif via.host.strip("[]").lower() != host.lower():
        request.via = via.with_params(received=host)


def response_flow(via: Via, flow: FlowLike) -> FlowLike:
    """Return where responses go (RFC 3261 section 18.2.2).

    Back where the request came from, or over UDP to the port of sent-by.
    """
    port = via.port or DEFAULT_PORT
    if flow.reliable or "rport" in via.params or port == flow.remote[1]:
        return flow
    return flow.towards_port(port)


def with_own_via(request: Request, flow: FlowLike, branch: str) -> Request:
    """Return a copy of a request of ours with the one Via that it has (RFC 3261 section 8.1.1.7)."""
    copy = request.copy()
    copy.headers.remove("Via")
    copy.headers.prepend("Via", own_via(flow, branch))
    return copy


def own_via(flow: FlowLike, branch: str) -> Via:
    """Return the Via of a request of ours (RFC 3261 section 8.1.1.7, RFC 3581 section 3)."""
    host, port = flow.local
    return Via(flow.transport.upper(), f"[{host}]" if ":" in host else host, port, {"branch": branch, "rport": None})


def ack_for_failure(request: Request, response: Response) -> Request:
    """Build the ACK for a final response from 300 up (RFC 3261 section 17.1.1.3)."""
    ack = _sibling(request, "ACK")
    ack.headers.copy_from(response.headers, "To")
    return ack


def cancel_for(request: Request) -> Request:
    """Build the CANCEL of an INVITE of ours (RFC 3261 section 9.1)."""
    cancel = _sibling(request, "CANCEL")
    cancel.headers.copy_from(request.headers, "To")
    return cancel


def _sibling(request: Request, method: str) -> Request:
    """Return a request with the URI, top Via, Route, From, Call-ID and CSeq number of another."""
    sibling = Request(method, request.uri, [("Via", request.via), ("Max-Forwards", 70)])
    for name in ("Route", "From", "Call-ID"):
        sibling.headers.copy_from(request.headers, name)
    sibling.headers.add("CSeq", CSeq(request.cseq.number, method))
    return sibling
