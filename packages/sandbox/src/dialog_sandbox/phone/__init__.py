"""A SIP test phone: registers, calls, answers, sends and hears tones and digits."""

from dialog_sandbox.phone.call import Call, CallEndedError, CallState
from dialog_sandbox.phone.descriptions import ECHOABLE, G711
from dialog_sandbox.phone.incoming import IncomingCall
from dialog_sandbox.phone.outgoing import OutgoingCall
from dialog_sandbox.phone.phone import Phone, RegistrationRefusedError

__all__ = [
    "ECHOABLE",
    "G711",
    "Call",
    "CallEndedError",
    "CallState",
    "IncomingCall",
    "OutgoingCall",
    "Phone",
    "RegistrationRefusedError",
]
