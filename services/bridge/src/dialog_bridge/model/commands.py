"""From a command of the dialog server to the input that it is, and what becomes of one whose call nobody knows."""

from __future__ import annotations

from urllib.parse import quote

from dialog_schemas.calls import (
    Accept,
    AddIce,
    CallCommand,
    Hangup,
    Hold,
    Reject,
    Resume,
    Ringing,
    SdpType,
    SendDtmf,
    SetSdp,
    Transfer,
)
from dialog_schemas.instances import SipDialogRecord

from dialog_bridge.model.inputs import Command, Kind

_KINDS: dict[type[CallCommand], Kind] = {
    Ringing: Kind.RING,
    Accept: Kind.ACCEPT,
    Reject: Kind.REJECT,
    Hangup: Kind.HANGUP,
    AddIce: Kind.ADD_ICE,
    SendDtmf: Kind.SEND_DTMF,
    Hold: Kind.HOLD,
    Resume: Kind.RESUME,
    Transfer: Kind.TRANSFER,
}

WANTS_AN_ANSWER = (Accept, SetSdp, Transfer)
"""Commands that somebody waits for a result of: without their call they are dead letters. Any other one that comes for
an unknown call comes late for one that is over, as they do at every hang-up, and nothing is to be done."""


def command_input(command: CallCommand, target: str = "") -> Command[CallCommand]:
    """Return a command as an input. ``target`` is the URI of a transfer."""
    if isinstance(command, SetSdp):
        kind = Kind.WEB_OFFER if command.sdp_type is SdpType.OFFER else Kind.WEB_ANSWER
    else:
        kind = _KINDS[type(command)]
    return Command(kind, command, target)


def replacing(sip_dialog: SipDialogRecord) -> str:
    """Return the URI of a Refer-To that replaces this SIP dialog at its other end (RFC 3891 section 3).

    Tags are named as the PBX sees them: its own is the one that it finds in To.
    """
    replaces = f"{sip_dialog.call_id};to-tag={sip_dialog.remote_tag or '0'};from-tag={sip_dialog.local_tag}"
    return f"{sip_dialog.remote_uri}?Replaces={quote(replaces, safe='')}"
