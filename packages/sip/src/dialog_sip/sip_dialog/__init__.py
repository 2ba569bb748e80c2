"""SIP dialogs (RFC 3261 section 12): who talks to whom, on which route, and what number the next request has.

Messages built here hold neither Via nor Contact: whoever owns the sockets adds them.
"""

from dialog_sip.sip_dialog.dialog_set import DialogSet
from dialog_sip.sip_dialog.initial import initial_request
from dialog_sip.sip_dialog.machine import DialogEvent, DialogState
from dialog_sip.sip_dialog.record import DialogRecord
from dialog_sip.sip_dialog.sip_dialog import SipDialog

__all__ = ["DialogEvent", "DialogRecord", "DialogSet", "DialogState", "SipDialog", "initial_request"]
