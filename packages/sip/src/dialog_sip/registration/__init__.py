"""One AOR's registration (RFC 3261 section 10), without I/O: when to REGISTER, with what, and what the answer means."""

from dialog_sip.registration.machine import RegistrationEvent, RegistrationState
from dialog_sip.registration.registration import Binding, Registration
from dialog_sip.registration.settings import Account, RegistrationSettings

__all__ = [
    "Account",
    "Binding",
    "Registration",
    "RegistrationEvent",
    "RegistrationSettings",
    "RegistrationState",
]
