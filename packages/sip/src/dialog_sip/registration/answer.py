"""What an answer to a REGISTER says (RFC 3261 sections 10.2.4 to 10.2.8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Response
from dialog_sip.registration.machine import RegistrationEvent
from dialog_sip.uri import SipUri
from dialog_sip.values import NameAddr, parse_seconds

_MAY_PASS = frozenset({408, 423, 429, 430, 480, 482, 491, 494, 600})
"""Failures below 500, and one above, that are as likely to be gone the next time."""

_TELLS_MORE = frozenset({"service-route", "path", "flow-timer", "require"})


def event_of_failure(code: int) -> RegistrationEvent:
    """Return what a final answer other than 2xx is, unless it tells how to do better (RFC 3261 section 10.2.8)."""
    may_pass = 300 <= code < 400 or 500 <= code < 600 or code in _MAY_PASS
    return RegistrationEvent.FAILED if may_pass else RegistrationEvent.REFUSED


def granted_expires(response: Response, contact: str, requested: int, dropped: Collection[str] = ()) -> int | None:
    """Return for how many seconds our Contact is bound, None where the 2xx does not list it (section 10.2.4).

    The bindings of other devices are in there too. Ours may have been rewritten on its way. A 2xx that lists none at
    all breaks the RFC but is taken for what its sender means.
    """
    try:
        contacts = response.contacts
    except RemoteProtocolError:
        contacts = ()
    ours = _find(contacts, contact, dropped) if contacts else None
    if contacts and ours is None:
        return None
    granted = ours.expires if ours is not None else None
    if granted is None:
        granted = response.expires
    return requested if granted is None else granted


def plain_grant(response: Response, contact: str) -> int | None:
    """Return the grant of a 2xx that says nothing but that our Contact is bound (RFC 3261 section 10.2.4).

    Nearly all do; None for others.
    """
    headers = response.headers
    if headers.has_any(_TELLS_MORE):
        return None
    values = headers.get_all("Contact")
    if len(values) != 1:
        return None
    uri, found, seconds = values[0].partition(">;expires=")
    if not found or uri[:1] != "<" or uri[1:] != contact or not seconds.isdecimal():
        return None
    return parse_seconds(seconds)


def _find(contacts: Sequence[NameAddr], contact: str, dropped: Collection[str]) -> NameAddr | None:
    """Look for our binding: the same URI, the same address, or one that can be no other's."""
    for binding in contacts:
        # Nearly always it comes back as it went, and no URI has to be read.
        if binding.uri_text == contact:
            return binding
    wanted = SipUri.parse(contact)
    read = [(binding, uri) for binding in contacts if (uri := _uri(binding)) is not None]
    gone = [SipUri.parse(uri) for uri in dropped]
    candidates = [(binding, uri) for binding, uri in read if uri not in gone]
    for same in (_is_equal, _is_same_address):
        for binding, uri in candidates:
            if same(uri, wanted):
                return binding
    alike = [binding for binding, uri in candidates if uri.user == wanted.user]
    return alike[0] if len(alike) == 1 else None


def _is_equal(one: SipUri, other: SipUri) -> bool:
    return one == other


def _is_same_address(one: SipUri, other: SipUri) -> bool:
    return (one.user, one.host.lower(), one.effective_port) == (other.user, other.host.lower(), other.effective_port)


def _uri(binding: NameAddr) -> SipUri | None:
    try:
        return binding.uri
    except RemoteProtocolError:
        return None


def minimum_expires(response: Response) -> int | None:
    """Return Min-Expires of a 423 (RFC 3261 section 20.23)."""
    return parse_seconds(response.headers.get("Min-Expires"))


def retry_after(response: Response) -> int | None:
    """Return Retry-After in seconds, without its comment and parameters (RFC 3261 section 20.33)."""
    value = response.headers.get("Retry-After")
    return None if value is None else parse_seconds(value.partition("(")[0].partition(";")[0].strip())


def redirect(response: Response) -> str | None:
    """Return the first SIP URI that a 3xx sends us to (RFC 3261 section 8.1.3.4)."""
    try:
        found: Iterable[SipUri | None] = map(_uri, response.contacts)
    except RemoteProtocolError:
        return None
    return next((str(uri) for uri in found if uri is not None and uri.scheme in {"sip", "sips"}), None)


def service_routes(response: Response) -> tuple[str, ...]:
    """Return the Service-Route of a 2xx, for requests outside SIP dialogs (RFC 3608); none if it cannot be read."""
    return _list(response, "Service-Route")


def path(response: Response) -> tuple[str, ...]:
    """Return the Path of a 2xx (RFC 3327 section 5.3); none if it cannot be read."""
    return _list(response, "Path")


def flow_timer(response: Response) -> int | None:
    """Return Flow-Timer in seconds (RFC 5626 section 4.4)."""
    return parse_seconds(response.headers.get("Flow-Timer"))


def is_outbound(response: Response) -> bool:
    """Tell whether the registrar took the flow for ours (RFC 5626 section 6)."""
    return "Require" in response.headers and "outbound" in (tag.lower() for tag in _list(response, "Require"))


def others(response: Response, ours: Collection[str], dropped: Collection[str] = ()) -> tuple[NameAddr, ...]:
    """Return the bindings of other devices (section 10.2.4); ours is the one that :func:`granted_expires` found."""
    try:
        contacts = response.contacts
    except RemoteProtocolError:
        return ()
    if len(contacts) < 2:
        # Nearly always: ours alone.
        return ()
    mine = [found for uri in ours if (found := _find(contacts, uri, dropped)) is not None]
    return tuple(one for one in contacts if not any(one is other for other in mine) and one.uri_text not in dropped)


def _list(response: Response, name: str) -> tuple[str, ...]:
    if name not in response.headers:
        return ()
    try:
        return tuple(response.headers.get_list(name))
    except RemoteProtocolError:
        return ()
