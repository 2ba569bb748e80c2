"""What a registrar granted, and what it said with it (RFC 3261 section 10.2.4, RFC 3327, RFC 3608, RFC 5626)."""

from __future__ import annotations

from typing import NamedTuple

from dialog_sip.values import NameAddr

NOBODY: tuple[NameAddr, ...] = ()
"""No bindings of others."""


class Binding(NamedTuple):
    """What a PBX granted (RFC 3261 section 10.2.4)."""

    granted: int
    """Seconds."""
    registered_at: float
    """When the REGISTER that was granted had been sent."""
    expires_at: float
    service_routes: tuple[str, ...] = ()
    """Routes for requests outside SIP dialogs (RFC 3608)."""
    path: tuple[str, ...] = ()
    """How requests come to us, for information (RFC 3327 section 5.3)."""
    flow_timer: int | None = None
    """Seconds after which the PBX takes a silent flow for dead (RFC 5626 section 4.4)."""
    is_outbound: bool = False
    """The PBX binds the flow, not the Contact: ``Require: outbound`` (RFC 5626 section 6)."""
    others: tuple[NameAddr, ...] = NOBODY
    """Bindings of other devices; they are never touched."""
