"""What becomes of a request that the PBX sends: one table of decisions.

============================  =======================  ============================================================
request                       known                    decision
============================  =======================  ============================================================
ACK, no transaction of it     bridge                   to that bridge
ACK                           no bridge                dropped: an ACK is never answered (RFC 3261 section 17.1.1.3)
any other, in a SIP dialog    bridge                   to that bridge
any other, in a SIP dialog    no bridge                481 (RFC 3261 section 12.2.2)
unknown method                                         501 with Allow (RFC 3261 section 21.5.2)
any other                     no such user             404 (RFC 3261 section 8.2.2.1)
OPTIONS                       user                     200 (RFC 3261 section 11.2)
INVITE                        user                     to a bridge
BYE, PRACK, UPDATE, INFO      user                     481: they exist in SIP dialogs only
any other                     user                     405 with Allow (RFC 3261 section 8.2.1)
============================  =======================  ============================================================
"""

from __future__ import annotations

from dataclasses import dataclass

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY"
"""Methods that the bridges behind this edge take."""
ACCEPT = "application/sdp"

_IN_DIALOG_ONLY = frozenset({"BYE", "PRACK", "UPDATE", "INFO"})
_KNOWN = frozenset(ALLOW.split(", ")) | {"REGISTER", "SUBSCRIBE", "MESSAGE", "PUBLISH"}


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer here and now."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ToBridge:
    """Put it into the inbox of the bridge that holds the SIP dialog."""

    instance: str


@dataclass(frozen=True, slots=True)
class ToAnyBridge:
    """Put it on ``sip.requests``."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing can be done with it, and nothing may be answered."""


Decision = Reply | ToBridge | ToAnyBridge | Drop


def decide(method: str, *, in_dialog: bool, bridge: str | None, user_known: bool) -> Decision:
    """Look the request up in the table above. ``in_dialog``: its To has a tag."""
    if in_dialog or method == "ACK":
        return _decide_in_dialog(method, bridge)
    if method not in _KNOWN:
        return Reply(501, (("Allow", ALLOW),))
    if not user_known:
        return Reply(404)
    if method == "OPTIONS":
        return Reply(200, (("Allow", ALLOW), ("Accept", ACCEPT)))
    if method == "INVITE":
        return ToAnyBridge()
    if method in _IN_DIALOG_ONLY:
        return Reply(481)
    return Reply(405, (("Allow", ALLOW),))


def _decide_in_dialog(method: str, bridge: str | None) -> Decision:
    if bridge is not None:
        return ToBridge(bridge)
    return Drop() if method == "ACK" else Reply(481)
