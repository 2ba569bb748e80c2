"""One AOR's registration (RFC 3261 section 10), without I/O: when to REGISTER, with what, and what the answer means."""

from dialog_sip.registration.binding import Binding
from dialog_sip.registration.keepalive import Keepalive, KeepaliveState, keepalive_delay
from dialog_sip.registration.machine import RegistrationEvent, RegistrationState
from dialog_sip.registration.registration import Registration
from dialog_sip.registration.request import Register, build_query
from dialog_sip.registration.settings import Account, RegistrationSettings

__all__ = [
    "Account",
    "Binding",
    "Keepalive",
    "KeepaliveState",
    "Register",
    "Registration",
    "RegistrationEvent",
    "RegistrationSettings",
    "RegistrationState",
    "build_query",
    "keepalive_delay",
]
