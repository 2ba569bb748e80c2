"""What this edge writes into messages that bridges send, and bridges leave out: Contact, Via, User-Agent, Allow.

See the table "Who does what to a SIP message" in ``docs/architecture.md``. The topmost Via of a request is the
transaction's and is written where that is made.
"""

from __future__ import annotations

from collections.abc import Iterable

from dialog_sip import NameAddr, Request, Response

from dialog_registrar.model.incoming import ALLOW

_TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose messages carry a Contact, both ways (RFC 3261 section 12.1 and the RFCs of the others)."""
_SAYS_ALLOW = frozenset({"INVITE", "UPDATE"})
_CREDENTIALS = ("Authorization", "Proxy-Authorization")


def dress_request(request: Request, contact: str, user_agent: str, service_routes: Iterable[str] = ()) -> Request:
    """Make a bridge's request one of this flow. It is changed in place and returned.

    ``service_routes``: where the PBX wants requests outside SIP dialogs to go through (RFC 3608 section 6.1).
    """
    headers = request.headers
    headers.remove("Via")
    headers.remove("Contact")
    for name in _CREDENTIALS:
        headers.remove(name)
    if request.method in _TARGET_REFRESH:
        headers.add("Contact", NameAddr.make(contact))
    if request.method in _SAYS_ALLOW:
        headers.set("Allow", ALLOW)
    headers.set("User-Agent", user_agent)
    if request.to.tag is None and "Route" not in headers:
        for route in service_routes:
            headers.add("Route", route)
    if request.max_forwards is None:
        headers.set("Max-Forwards", "70")
    return request


def dress_response(response: Response, request: Request, contact: str | None, user_agent: str) -> Response:
    """Make a bridge's response an answer to ``request``. It is changed in place and returned."""
    headers = response.headers
    headers.remove("Via")
    for via in reversed(request.vias):
        headers.prepend("Via", via)
    headers.remove("Contact")
    dialog_forming = 100 < response.code < 300
    if contact is not None and dialog_forming and request.method in _TARGET_REFRESH:
        headers.add("Contact", NameAddr.make(contact))
    if dialog_forming and request.method == "INVITE" and "Record-Route" not in headers:
        headers.copy_from(request.headers, "Record-Route")
    if response.is_success and request.method in _SAYS_ALLOW:
        headers.set("Allow", ALLOW)
    headers.set("Server", user_agent)
    return response


def copy_credentials(source: Request, target: Request) -> None:
    """Give an ACK the credentials of its INVITE (RFC 3261 section 22.1)."""
    for name in _CREDENTIALS:
        target.headers.remove(name)
        target.headers.copy_from(source.headers, name)


def retried(request: Request) -> Request:
    """Return a copy with the next CSeq, for another attempt (RFC 3261 section 22.2)."""
    again = request.copy()
    number, method = request.cseq
    again.headers.set("CSeq", f"{number + 1} {method}")
    for name in ("Via", *_CREDENTIALS):
        again.headers.remove(name)
    return again


def cancel_of(invite: Request) -> Request:
    """Return the CANCEL that a peer would send for its INVITE (RFC 3261 section 9.1)."""
    cancel = Request("CANCEL", invite.uri)
    cancel.headers.add("Via", invite.via)
    for name in ("Max-Forwards", "From", "To", "Call-ID"):
        cancel.headers.copy_from(invite.headers, name)
    cancel.headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    return cancel
