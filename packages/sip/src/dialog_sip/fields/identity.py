"""Who calls: From, and what a trusted network says instead (RFC 3325, RFC 3323, the older Remote-Party-ID)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import unquote
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message
from dialog_sip.values import NameAddr

ANONYMOUS: Final = NameAddr.make("sip:anonymous@anonymous.invalid", "Anonymous")
"""From of a call that shows nobody (RFC 3323 section 4.1.1.3)."""

_HIDDEN_VALUES = frozenset({"full", "uri", "name", "on", "yes"})


class PrivacyLevel(StrEnum):
    """Values of Privacy (RFC 3323 section 4.2, RFC 3325 section 9.3)."""

    HEADER = "header"
    SESSION = "session"
    USER = "user"
    NONE = "none"
    CRITICAL = "critical"
    ID = "id"
    HISTORY = "history"


class Caller(NamedTuple):
    """What to show of a peer (RFC 3325 section 8)."""

    display_name: str
    uri: str
    """As on the wire; empty where nothing is to be shown."""
    is_hidden: bool = False
    """The peer asked not to be shown."""
    is_asserted: bool = False
    """A network vouches for it; From is what the peer itself says."""


def privacy_of(message: Message) -> frozenset[str]:
    """Return the values of Privacy in lower case; both ``;`` (RFC 3323) and ``,`` part them in the field."""
    values = ";".join(message.headers.get_all("Privacy")).replace(",", ";").split(";")
    return frozenset(value.strip().lower() for value in values if value.strip())


def caller_of(message: Message, *, trusted: bool = True) -> Caller:
    """Return who a request comes from, or who a response says answers.

    P-Asserted-Identity comes before Remote-Party-ID and both before From, but only of a network that is trusted (RFC
    3325 section 8). Privacy ``id``, ``user`` or ``header`` hides all of them. Raises as :attr:`Message.from_` does.
    """
    party = next(_asserted(message), None) if trusted else None
    asked = privacy_of(message)
    hidden = bool(asked & {PrivacyLevel.ID, PrivacyLevel.USER, PrivacyLevel.HEADER})
    if party is None:
        party = message.from_
        hidden = hidden or _is_anonymous(party)
        return Caller("" if hidden else party.display_name, "" if hidden else party.uri_text, hidden)
    hidden = hidden or (unquote(party.params.get("privacy") or "")).lower() in _HIDDEN_VALUES
    if hidden:
        return Caller("", "", is_hidden=True, is_asserted=True)
    return Caller(party.display_name or message.from_.display_name, party.uri_text, is_asserted=True)


def privacy_headers(
    levels: Collection[PrivacyLevel], preferred: NameAddr | None = None
) -> list[tuple[str, HeaderValue]]:
    """Return the headers by which we ask a trusted network to hide us (RFC 3323 section 4.2).

    ``preferred``: who we are, for that network alone (P-Preferred-Identity, RFC 3325 section 9.2). From is to be
    :data:`ANONYMOUS` with our tag, unless the network is to see to that as well.
    """
    headers: list[tuple[str, HeaderValue]] = []
    if preferred is not None:
        headers.append(("P-Preferred-Identity", preferred))
    if levels:
        headers.append(("Privacy", ";".join(sorted(levels))))
    return headers


def _asserted(message: Message) -> Iterator[NameAddr]:
    for name in ("P-Asserted-Identity", "Remote-Party-ID"):
        yield from (value for value in _addresses(message, name) if value.uri_text)


def _addresses(message: Message, name: str) -> Iterator[NameAddr]:
    """Iterate over what can be read: a bad identity hurts nobody, the next one serves."""
    try:
        values = message.headers.get_list(name)
    except RemoteProtocolError:
        return
    for value in values:
        try:
            yield NameAddr.parse(value)
        except RemoteProtocolError:
            continue


def _is_anonymous(party: NameAddr) -> bool:
    try:
        host = party.uri.host.lower()
    except RemoteProtocolError:
        return False
    return host == "anonymous.invalid" or host.endswith(".anonymous.invalid")
