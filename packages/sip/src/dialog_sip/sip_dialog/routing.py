"""From route set and remote target to Request-URI and Route (RFC 3261 section 12.2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Message
from dialog_sip.values import NameAddr


def address(route_set: Sequence[str], target: str) -> tuple[str, tuple[str, ...]]:
    """Return Request-URI and Route values (RFC 3261 section 12.2.1.1).

    A first hop without ``lr`` is a strict router: it gets its own URI as Request-URI, and the target goes to the end.
    """
    if not route_set:
        return target, ()
    first = NameAddr.parse(route_set[0]).uri
    if "lr" in first.params:
        return target, tuple(route_set)
    # RFC 3261 section 19.1.1: a Request-URI holds neither headers nor a method parameter.
    params = {name: value for name, value in first.params.items() if name != "method"}
    return str(first._replace(headers="", params=params)), (*route_set[1:], f"<{target}>")


def target_of(message: Message) -> str | None:
    """Return the URI of the Contact; None where there is none, or none that can be used.

    It is the remote target of RFC 3261 section 12.1.
    """
    try:
        contacts = message.contacts
        return str(contacts[0].uri) if contacts else None
    except RemoteProtocolError:
        return None


def route_set_of(message: Message) -> tuple[str, ...]:
    """Return the Record-Routes in the order of the message (section 12.1). Raises :class:`RemoteProtocolError`."""
    routes = message.record_routes
    for route in routes:
        route.uri  # noqa: B018 - a route that cannot be read is found here, not when the first BYE is due
    return tuple(map(str, routes))
