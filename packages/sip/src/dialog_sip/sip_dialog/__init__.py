"""SIP dialogs (RFC 3261 section 12) and calls in them: who talks to whom, and what may be said next.

Three levels, each usable by itself. :class:`SipDialog` and :class:`DialogSet` know route, target and numbers. The
tables (``offer_answer``, ``glare``, ``reliable``, ``session_timer``, ``subscription``, ``early_media``) know one
extension each. :class:`OutgoingInvite`, :class:`IncomingInvite` and :class:`SipSession` put them together into calls.

Messages built here hold neither Via nor Contact: whoever owns the sockets adds them.
"""

from dialog_sip.sip_dialog.calling import CallingState
from dialog_sip.sip_dialog.dialog_set import DialogSet
from dialog_sip.sip_dialog.early_media import EarlyMedia, EarlyMediaState
from dialog_sip.sip_dialog.glare import InviteGuard, glare_delay
from dialog_sip.sip_dialog.incoming import CalledState, IncomingInvite
from dialog_sip.sip_dialog.initial import initial_request
from dialog_sip.sip_dialog.machine import DialogEvent, DialogState
from dialog_sip.sip_dialog.offer_answer import Meaning, OfferAnswer, OfferEvent, OfferState
from dialog_sip.sip_dialog.outgoing import OutgoingInvite
from dialog_sip.sip_dialog.outputs import (
    Answered,
    Cancel,
    DigitReceived,
    Ended,
    Established,
    Offered,
    Output,
    Received,
    Referred,
    Refused,
    Respond,
    Ringing,
    Send,
    Transferred,
)
from dialog_sip.sip_dialog.parts import SessionSettings
from dialog_sip.sip_dialog.record import DialogRecord
from dialog_sip.sip_dialog.reliable import ReliableReceiver, ReliableResponses
from dialog_sip.sip_dialog.session import SipSession, make_parts
from dialog_sip.sip_dialog.session_timer import SessionTimer, SessionTimerSettings
from dialog_sip.sip_dialog.sip_dialog import SipDialog
from dialog_sip.sip_dialog.subscription import ReferNotifier, ReferSubscriber

__all__ = [
    "Answered",
    "CalledState",
    "CallingState",
    "Cancel",
    "DialogEvent",
    "DialogRecord",
    "DialogSet",
    "DialogState",
    "DigitReceived",
    "EarlyMedia",
    "EarlyMediaState",
    "Ended",
    "Established",
    "IncomingInvite",
    "InviteGuard",
    "Meaning",
    "OfferAnswer",
    "OfferEvent",
    "OfferState",
    "Offered",
    "OutgoingInvite",
    "Output",
    "Received",
    "ReferNotifier",
    "ReferSubscriber",
    "Referred",
    "Refused",
    "ReliableReceiver",
    "ReliableResponses",
    "Respond",
    "Ringing",
    "Send",
    "SessionSettings",
    "SessionTimer",
    "SessionTimerSettings",
    "SipDialog",
    "SipSession",
    "Transferred",
    "glare_delay",
    "initial_request",
    "make_parts",
]
