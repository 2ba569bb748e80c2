"""A 2xx to an INVITE of ours whose call is over: confirmed and ended without any state (RFC 3261 section 13.2.2.4).

It comes when a second branch answers late, or for a call that a dead bridge left behind.
"""

from __future__ import annotations

from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import NameAddr, Response
from dialog_sip.sip_dialog import DialogRecord, DialogState, SipDialog
from dialog_sip.sip_dialog.routing import route_set_of, target_of


def end_stray(response: Response, relay: Relay, instance: str, *, ignore_contact: bool = False) -> tuple[Relay, ...]:
    """Return ACK and BYE; nothing for any other response. Raises :class:`dialog_sip.RemoteProtocolError`."""
    if not response.is_success or response.cseq.method != "INVITE":
        return ()
    dialog = _dialog(response, ignore_contact=ignore_contact)
    messages = (dialog.ack(response.cseq.number), dialog.request("BYE"))
    return tuple(
        Relay(RelayKind.REQUEST, f"{relay.transaction}.{tag}", relay.aor, message.encode(), relay.call, instance)
        for tag, message in zip(_tags(response.to), messages, strict=True)
    )


def _dialog(response: Response, *, ignore_contact: bool) -> SipDialog:
    record = DialogRecord(
        call_id=response.call_id,
        local_tag=response.from_.tag or "",
        remote_tag=response.to.tag,
        local_uri=response.from_.uri_text,
        remote_uri=response.to.uri_text,
        remote_target=target_of(response),
        route_set=route_set_of(response)[::-1],
        local_cseq=response.cseq.number,
    )
    return SipDialog(record, DialogState.CONFIRMED, ignore_contact=ignore_contact)


def _tags(to: NameAddr) -> tuple[str, str]:
    return f"{to.tag}.ack", f"{to.tag}.bye"
