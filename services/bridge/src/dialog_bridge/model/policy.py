"""Who may call and be called: from a mapping to a yes, or to the reason against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dialog_schemas.calls import EndReason
from dialog_schemas.mappings import MappingUpserted, PeerType


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not made. ``code`` is what a PBX that calls is told."""

    reason: EndReason
    detail: str
    code: int = 480
    retry_after: int | None = None


TOO_MANY = Refusal(EndReason.BUSY, "no bridge has room for another call", 503, retry_after=5)
"""RFC 3261 section 21.5.4."""

TOO_LATE = Refusal(EndReason.ERROR, "the command came too late")
"""Whoever wanted the call has given up by now."""


def for_calling(mappings: Iterable[MappingUpserted]) -> MappingUpserted | Refusal:
    """Choose which of a user's mappings to call from: the first, by AOR, that may."""
    ordered = sorted(mappings, key=lambda mapping: mapping.aor)
    if not ordered:
        return Refusal(EndReason.CALLER_DISABLED, "the user has no SIP mapping")
    for mapping in ordered:
        if mapping.can_call:
            return mapping
    return Refusal(EndReason.CALLER_DISABLED, "can_call is false")


def for_being_called(mapping: MappingUpserted | None) -> MappingUpserted | Refusal:
    """Tell whether the PBX reaches a user by this mapping.

    What is switched off is 480 and not 403: the user exists and is not to be reached, and a PBX forwards such a call
    to voicemail, where 403 makes it give up.
    """
    if mapping is None:
        return Refusal(EndReason.CALLEE_NOT_FOUND, "no mapping has this address", 404)
    if mapping.peer_type is not PeerType.USER:
        return Refusal(EndReason.CALLEE_DISABLED, f"calls to a {mapping.peer_type.name.lower()} are not taken")
    if not mapping.can_be_called:
        return Refusal(EndReason.CALLEE_DISABLED, "can_be_called is false")
    return mapping
