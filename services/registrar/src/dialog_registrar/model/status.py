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


_WAITING = frozenset({RegistrationState.RETRYING, RegistrationState.REJECTED, RegistrationState.DEPARTING})
_BINDING = {"contact", "granted_expires", "registered_at", "expires_at"}
_LEFT = _BINDING | {"call_id", "cseq", "sent_lately"}
"""What the owner before us said that the next one may have to go on with instead of us."""


class Moment(NamedTuple):
    """One moment on two clocks, so that the times of the one can be told in the other."""

    now: float
    wall: datetime

    def at(self, time: float | None) -> datetime | None:
        """Return the time of day of ``time``."""
        return None if time is None else self.wall + timedelta(seconds=time - self.now)

    def milliseconds(self, time: float) -> int:
        """Return ``time`` in ms since 1970."""
        return round(1000 * (self.wall.timestamp() + time - self.now))

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


Fields = dict[str, object]
"""What a :class:`RegistrationStatus` says, by the names of its fields; one that is None or missing is not there."""


def status_fields(entry: Entry, instance: str, moment: Moment) -> Fields:
    """Return the whole status of a mapping, to be written as it is: each refresh of each mapping makes one."""
    fields: Fields = {
        "aor": entry.aor,
        "state": published_state(entry, moment.now),
        "reason": _reason(entry),
        "mapping_revision": entry.mapping.revision,
        "owner": instance,
    }
    registration, old = entry.registration, entry.predecessor
    if registration is not None:
        _tell_registration(fields, registration, moment)
    if old is not None and (registration is None or registration.binding is None):
        fields |= old.model_dump(include=_LEFT if registration is None else _BINDING)
    return fields


def _tell_registration(fields: Fields, registration: Registration, moment: Moment) -> None:
    fields["contact"] = registration.contact
    binding = registration.binding
    if binding is not None:
        fields["granted_expires"] = binding.granted
        fields["registered_at"] = moment.at(binding.registered_at)
        fields["expires_at"] = moment.at(binding.expires_at)
    if registration.state in _WAITING:
        fields["next_attempt_at"] = moment.at(registration.timer)
    fields["last_code"] = registration.last_code
    fields["last_phrase"] = registration.last_phrase or None
    fields["call_id"] = registration.call_id
    fields["cseq"] = registration.cseq + CSEQ_RESERVE
    if sent := _sent_lately(registration, moment):
        fields["sent_lately"] = sent


def _sent_lately(registration: Registration, moment: Moment) -> tuple[int, ...]:
    sent = registration.sent_lately(moment.now)
    if registration.binding is not None and sent == (registration.binding.registered_at,):
        return ()
    return tuple(moment.milliseconds(time) for time in sent)


def _reason(entry: Entry) -> str:
    if entry.rejected or entry.holdup:
        return entry.rejected or entry.holdup
    return "" if entry.registration is None else entry.registration.reason


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
