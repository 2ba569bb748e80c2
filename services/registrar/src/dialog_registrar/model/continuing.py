"""A registration begins, or goes on where the owner before us left it.

Call-ID stays and CSeq grows over restarts and owners (RFC 3261 section 10.2). What happens to the old binding:

=================================  ==========================================================================
the old binding                    then
=================================  ==========================================================================
none, or it has lapsed             REGISTER
good, and its Contact is ours      nothing, until it is due for a refresh: a mere restart sends nothing
good, with another Contact         REGISTER ours, and in the same request drop the other
=================================  ==========================================================================

An owner may die before it has told of a REGISTER, and so may the next. All of them go by the same status; so each
begins as far above its CSeq as time has passed since (:func:`ahead`), and whoever comes later begins higher. The limit
of REGISTERs goes on as well: what the owner before us sent lately counts, or may have sent by the time we came.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime

from dialog_schemas.registrations import RegistrationStatus
from dialog_sip.registration import Account, Binding, Registration, RegistrationSettings
from dialog_sip.registration.timing import ATTEMPT, with_untold

from dialog_registrar.model.entry import Entry
from dialog_registrar.model.status import Moment

CSEQ_A_SECOND = 16
"""How fast the first CSeq of a new owner grows: no owner uses more (6 at once at most), and none follows at once."""
_AHEAD_AT_MOST = 86_400 * CSEQ_A_SECOND
_LAST_CSEQ = 2**31 - 2**16
"""What RFC 3261 section 8.1.1.5 allows, less some to go on with."""


def ahead(status: RegistrationStatus, told_at: datetime, now: datetime) -> RegistrationStatus:
    """Return the status of the owner before us, told at ``told_at``, with the CSeq that we begin above."""
    passed = max(0, int((now - told_at).total_seconds() * CSEQ_A_SECOND))
    cseq = max(status.cseq, min(status.cseq + min(passed, _AHEAD_AT_MOST), _LAST_CSEQ))
    return status.model_copy(update={"cseq": cseq})


def port_hint(old: RegistrationStatus | None, instance: str) -> int | None:
    """Return the local port that would keep the Contact of before."""
    if old is None or old.owner != instance or old.contact is None or "transport=" in old.contact:
        # A connection is gone with the process that had it; only a UDP port can be taken again.
        return None
    port = old.contact.partition(";")[0].rpartition(":")[2]
    return int(port) if port.isdecimal() else None


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
        _account(entry), settings, call_id=old.call_id, contact=contact, cseq=old.cseq, drop=drop,
        before=_sent_before(old, moment),
    )  # fmt: skip
    if binding is not None and (old.contact == contact or not entry.wants_binding):
        registration.resume(binding, moment.now, jitter)
        if old.mapping_revision != entry.mapping.revision:
            registration.refresh(moment.now)
    # Whoever comes before we have bound ours has to drop the other as well.
    entry.predecessor = old if drop and registration.binding is None else None
    return registration


def _account(entry: Entry) -> Account:
    host = f"[{entry.mapping.host}]" if ":" in entry.mapping.host else entry.mapping.host
    return Account(aor=f"sip:{entry.mapping.user}@{host}", registrar=sys.intern(f"sip:{host}"))


def _sent_before(old: RegistrationStatus, moment: Moment) -> tuple[float, ...]:
    """Return when the last REGISTERs of the owner before us began, or may have.

    An attempt that it had told of beforehand counts from when it was due. All of it is in what we tell, for whoever
    comes after us.
    """
    times = [moment.since(datetime.fromtimestamp(sent / 1000, UTC)) for sent in old.sent_lately]
    if not times and old.registered_at is not None:
        times = [moment.since(old.registered_at)]
    if old.next_attempt_at is not None and old.next_attempt_at <= moment.wall:
        times += [moment.since(old.next_attempt_at)] * ATTEMPT
    return with_untold(tuple(times), moment.now)


def _binding(old: RegistrationStatus, moment: Moment) -> Binding | None:
    """Return the binding of a status, if it is still good."""
    if old.granted_expires is None or old.registered_at is None or old.expires_at is None:
        return None
    if old.expires_at <= moment.wall:
        return None
    return Binding(old.granted_expires, moment.since(old.registered_at), moment.since(old.expires_at))
