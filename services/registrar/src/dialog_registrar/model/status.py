"""What is published of a mapping: the machine's state in the words of the contract.

=========================================  ==================================================================
the machine is                             published is
=========================================  ==================================================================
none, the row cannot be used               rejected
none, but a binding of before lasts        unregistering
none, or idle, no binding is wanted        unregistered
none, or idle, a binding is wanted         registering (waits for the password or the flow)
asking, registering, retrying, registered  registered while the binding is good; else registering, or retrying
                                           after a failure
rejected                                   rejected
stopping, leaving, unregistering,          unregistering
departing
restarting                                 registering
=========================================  ==================================================================
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from dialog_schemas.registrations import RegistrationState as Published
from dialog_schemas.registrations import RegistrationStatus
from dialog_sip.registration import Registration, RegistrationState

from dialog_registrar.model.entry import Entry

CSEQ_RESERVE = 256
"""How far the published CSeq is ahead of the one that was used: an owner that dies, or is cut off from Kafka for
minutes, has not used more by then (6 in 20 seconds at most, far fewer as a rule)."""

_LEAVING = frozenset(
    {
        RegistrationState.STOPPING,
        RegistrationState.LEAVING,
        RegistrationState.UNREGISTERING,
        RegistrationState.DEPARTING,
    }
)


class Moment(NamedTuple):
    """One moment on two clocks, so that the times of the one can be told in the other."""

    now: float
    wall: datetime

    def at(self, time: float | None) -> datetime | None:
        """Return the time of day of ``time``."""
        return None if time is None else self.wall + timedelta(seconds=time - self.now)

    def since(self, time: datetime) -> float:
        """Return when on the first clock it was ``time``."""
        return self.now + (time - self.wall).total_seconds()


def published_state(entry: Entry, now: float) -> Published:
    """Look the state up in the table above."""
    registration = entry.registration
    if entry.is_idle or registration is None:
        if entry.rejected:
            return Published.REJECTED
        if entry.gone:
            return Published.UNREGISTERING
        return Published.REGISTERING if entry.wants_binding else Published.UNREGISTERED
    if registration.state in _LEAVING:
        return Published.UNREGISTERING
    if registration.state is RegistrationState.REJECTED:
        return Published.REJECTED
    if registration.is_bound(now):
        return Published.REGISTERED
    failed = registration.state is RegistrationState.RETRYING or registration.reason or entry.holdup
    return Published.RETRYING if failed else Published.REGISTERING


def status_of(entry: Entry, instance: str, moment: Moment) -> RegistrationStatus:
    """Return the whole status of a mapping."""
    registration = entry.registration
    if registration is None:
        return _without_registration(entry, instance, moment)
    binding = registration.binding
    return RegistrationStatus(
        aor=entry.aor,
        state=published_state(entry, moment.now),
        reason=_reason(entry),
        mapping_revision=entry.mapping.revision,
        owner=instance,
        contact=registration.contact,
        granted_expires=binding.granted if binding else None,
        registered_at=moment.at(binding.registered_at) if binding else None,
        expires_at=moment.at(binding.expires_at) if binding else None,
        next_attempt_at=_next_attempt(registration, moment),
        last_code=registration.last_code,
        last_phrase=registration.last_phrase or None,
        call_id=registration.call_id,
        cseq=registration.cseq + CSEQ_RESERVE,
    )


def _without_registration(entry: Entry, instance: str, moment: Moment) -> RegistrationStatus:
    """Keep what the owner before us left: the next one may have to continue it instead of us."""
    old = entry.predecessor
    return RegistrationStatus(
        aor=entry.aor,
        state=published_state(entry, moment.now),
        reason=_reason(entry),
        mapping_revision=entry.mapping.revision,
        owner=instance,
        contact=old.contact if old else None,
        granted_expires=old.granted_expires if old else None,
        registered_at=old.registered_at if old else None,
        expires_at=old.expires_at if old else None,
        call_id=old.call_id if old else None,
        cseq=old.cseq if old else 0,
    )


def _reason(entry: Entry) -> str:
    if entry.rejected or entry.holdup:
        return entry.rejected or entry.holdup
    return "" if entry.registration is None else entry.registration.reason


def _next_attempt(registration: Registration, moment: Moment) -> datetime | None:
    waits = registration.state in {RegistrationState.RETRYING, RegistrationState.REJECTED, RegistrationState.DEPARTING}
    return moment.at(registration.timer) if waits else None


Fingerprint = tuple[object, ...]


def fingerprint(entry: Entry, now: float) -> Fingerprint:
    """Return what, when it changes, is worth a status. Whether a REGISTER is on its way is not, nor is its CSeq."""
    registration = entry.registration
    state, reason = published_state(entry, now), _reason(entry)
    if registration is None:
        return state, reason, entry.mapping.revision
    attempt = registration.timer if registration.state is not RegistrationState.REGISTERED else None
    binding = registration.binding
    # What else the PBX said with it, such as the bindings of other devices, is not told.
    grant = None if binding is None else (binding.granted, binding.registered_at, binding.expires_at)
    return (
        state, reason, entry.mapping.revision, registration.contact, grant, attempt,
        registration.last_code,
    )  # fmt: skip
