"""A registration begins, or goes on where the owner before us left it.

Call-ID stays and CSeq grows over restarts and owners (RFC 3261 section 10.2). What happens to the old binding:

=================================  ==========================================================================
the old binding                    then
=================================  ==========================================================================
none, or it has lapsed             REGISTER
good, and its Contact is ours      nothing, until it is due for a refresh: a mere restart sends nothing
good, with another Contact         REGISTER ours, and in the same request drop the other
=================================  ==========================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from dialog_schemas.registrations import RegistrationStatus
from dialog_sip.registration import Account, Binding, Registration, RegistrationSettings

from dialog_registrar.model.entry import Entry
from dialog_registrar.model.status import Moment


def new_registration(
    entry: Entry,
    contact: str,
    settings: RegistrationSettings,
    moment: Moment,
    jitter: float,
    new_call_id: Callable[[], str],
) -> Registration:
    """Return the registration of an entry, resumed where that can be."""
    old, entry.predecessor = entry.predecessor, None
    if old is None or old.call_id is None:
        return Registration(_account(entry), settings, call_id=new_call_id(), contact=contact)
    binding = _binding(old, moment)
    drop = (old.contact,) if binding is not None and old.contact is not None and old.contact != contact else ()
    registration = Registration(
        _account(entry), settings, call_id=old.call_id, contact=contact, cseq=old.cseq, drop=drop
    )
    if binding is not None and old.contact == contact:
        registration.resume(binding, moment.now, jitter)
        if old.mapping_revision != entry.mapping.revision:
            registration.refresh(moment.now)
    return registration


def _account(entry: Entry) -> Account:
    host = f"[{entry.mapping.host}]" if ":" in entry.mapping.host else entry.mapping.host
    return Account(aor=f"sip:{entry.mapping.user}@{host}", registrar=sys.intern(f"sip:{host}"))


def _binding(old: RegistrationStatus, moment: Moment) -> Binding | None:
    """Return the binding of a status, if it is still good."""
    if old.granted_expires is None or old.registered_at is None or old.expires_at is None:
        return None
    if old.expires_at <= moment.wall:
        return None
    return Binding(old.granted_expires, moment.since(old.registered_at), moment.since(old.expires_at))
