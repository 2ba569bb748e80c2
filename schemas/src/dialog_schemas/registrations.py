"""Topic ``sip.registrations``: the state of every registration, compacted. Key: the AOR.

It is both the status that administrators and the dialog server read and what another registrar needs to go on with
the same registration after this one died. A mapping that is gone leaves a tombstone.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from dialog_schemas.event import Aor, Event, InstanceId


class RegistrationState(StrEnum):
    """Where a mapping stands at its PBX."""

    REGISTERING = "registering"
    """A first REGISTER is on its way."""
    REGISTERED = "registered"
    """The PBX holds a binding of ours until ``expires_at``."""
    UNREGISTERING = "unregistering"
    """A REGISTER with Expires 0 is on its way."""
    UNREGISTERED = "unregistered"
    """No binding is wanted (``register = false``); a flow is there for outgoing calls."""
    RETRYING = "retrying"
    """The last attempt failed; ``next_attempt_at`` says when it is tried again."""
    REJECTED = "rejected"
    """The row cannot be used, or the PBX refuses it for good: somebody has to change something."""


class RegistrationStatus(Event):
    """All there is to know of one registration. Times are UTC."""

    NAME: ClassVar[str] = "registration-status"
    aor: Aor
    state: RegistrationState
    reason: str = ""
    """In words, for the administrator: what happened, and what to do about it."""
    mapping_revision: str = ""
    owner: InstanceId
    """The registrar that holds the flow: SIP for this mapping goes to ``inbox.<owner>``."""
    contact: str | None = None
    granted_expires: int | None = None
    """Seconds that the PBX granted at the last 2xx."""
    registered_at: datetime | None = None
    expires_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_code: int | None = None
    last_phrase: str | None = None
    call_id: str | None = None
    """Call-ID of the REGISTERs, the same for as long as the mapping lives (RFC 3261 section 10.2)."""
    cseq: int = 0
    """The last CSeq that was used, or may have been: the next one is above it."""
    sent_lately: tuple[int, ...] = ()
    """When the REGISTER transactions of the last 21 s began, or may have, in ms since 1970: whoever goes on with the
    registration counts them towards the limit of six in 20 s. Empty also where the only one is that of
    ``registered_at``."""
