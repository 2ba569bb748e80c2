"""The SIP dialog of a call as the directory keeps it for another bridge, and back."""

from __future__ import annotations

from dialog_schemas.instances import SipDialogRecord
from dialog_sip import NameAddr, Request
from dialog_sip.sip_dialog import DialogRecord, initial_request


def record_of(kept: DialogRecord) -> SipDialogRecord:
    """Return a SIP dialog."""
    return SipDialogRecord(**{name: getattr(kept, name) for name in kept.__slots__})


def record_of_invite(invite: Request) -> SipDialogRecord:
    """Return what is known of a SIP dialog while only our INVITE is out."""
    return SipDialogRecord(
        call_id=invite.call_id,
        local_tag=invite.from_.tag or "",
        local_uri=invite.from_.uri_text,
        remote_uri=invite.to.uri_text,
        local_cseq=invite.cseq.number,
    )


def invite_of(record: SipDialogRecord, cseq: int) -> Request:
    """Return as much of an INVITE that came as a response to it repeats (RFC 3261 section 8.2.6.2)."""
    return initial_request(
        "INVITE",
        record.local_uri,
        from_=NameAddr.make(record.remote_uri, tag=record.remote_tag),
        to=NameAddr.make(record.local_uri, tag=record.local_tag),
        call_id=record.call_id,
        cseq=cseq,
    )
