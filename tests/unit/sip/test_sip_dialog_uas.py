"""SIP dialogs that an INVITE from the peer makes (RFC 3261 sections 12.1.1 and 12.2.2)."""

from __future__ import annotations

import pytest
from dialog_sip import RemoteProtocolError, Request
from dialog_sip.sip_dialog import DialogState, SipDialog


def incoming(method: str = "INVITE", cseq: int = 7, *, to_tag: str | None = None, **headers: str) -> Request:
    fields = {
        "Via": "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "From": "<sip:bob@pbx.example.com>;tag=theirs",
        "To": "<sip:434@pbx.example.com>" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID": "c2",
        "CSeq": f"{cseq} {method}",
        "Contact": "<sip:bob@192.0.2.9>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, "sip:434@192.0.2.1", [(name, value) for name, value in fields.items() if value])


def talking() -> SipDialog:
    invite = incoming(Record_Route="<sip:p1;lr>, <sip:p2;lr>")
    dialog = SipDialog.uas(invite, "ours")
    dialog.respond(invite, 200)
    return dialog


def test_answers_move_it_on() -> None:
    invite = incoming()
    dialog = SipDialog.uas(invite, "ours")
    assert dialog.respond(invite, 180).to.tag == "ours"
    assert dialog.state is DialogState.EARLY
    ok = dialog.respond(invite, 200, body=b"v=0", content_type="application/sdp")
    assert (ok.to.tag, ok.body) == ("ours", b"v=0")
    assert dialog.state is DialogState.CONFIRMED


def test_a_refusal_ends_it() -> None:
    invite = incoming()
    dialog = SipDialog.uas(invite, "ours")
    dialog.respond(invite, 486)
    assert dialog.state is DialogState.TERMINATED


def test_its_own_requests() -> None:
    bye = talking().request("BYE")
    assert (bye.uri, str(bye.cseq)) == ("sip:bob@192.0.2.9", "1 BYE")
    assert (bye.from_.tag, bye.to.tag) == ("ours", "theirs")
    # A UAS keeps the order of Record-Route.
    assert bye.headers.get_all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]


def test_bye_from_the_peer_ends_it() -> None:
    dialog = talking()
    dialog.receive(incoming("BYE", 8, to_tag="ours"))
    assert dialog.state is DialogState.TERMINATED
    with pytest.raises(RemoteProtocolError) as caught:
        dialog.receive(incoming("INFO", 9, to_tag="ours"))
    assert caught.value.status == 481


def test_a_cseq_that_goes_back_is_answered_500() -> None:
    dialog = talking()
    dialog.receive(incoming("INFO", 9, to_tag="ours"))
    with pytest.raises(RemoteProtocolError) as caught:
        dialog.receive(incoming("INFO", 8, to_tag="ours"))
    assert caught.value.status == 500
    dialog.receive(incoming("INFO", 30, to_tag="ours"))
    assert dialog.record.remote_cseq == 30


def test_ack_keeps_the_number_of_its_invite() -> None:
    dialog = talking()
    dialog.receive(incoming("INFO", 9, to_tag="ours"))
    dialog.receive(incoming("ACK", 7, to_tag="ours"))
    assert dialog.record.remote_cseq == 9


@pytest.mark.parametrize(
    "headers", [{"to_tag": "other"}, {"to_tag": "ours", "Call_ID": "c3"}, {"to_tag": "ours", "From": "<sip:b@x>;tag=z"}]
)
def test_another_dialogs_request_is_answered_481(headers: dict[str, str]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        talking().receive(incoming("INFO", 8, **headers))
    assert caught.value.status == 481


def test_reinvite_moves_the_target_and_its_refusal_leaves_the_dialog() -> None:
    dialog = talking()
    reinvite = incoming("INVITE", 8, to_tag="ours", Contact="<sip:bob@192.0.2.77>")
    dialog.receive(reinvite)
    dialog.respond(reinvite, 488)
    assert (dialog.target, dialog.state) == ("sip:bob@192.0.2.77", DialogState.CONFIRMED)


def test_an_invite_without_contact_is_refused_unless_contact_is_ignored() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SipDialog.uas(incoming(Contact=""), "ours")
    assert caught.value.status == 400
    assert SipDialog.uas(incoming(Contact=""), "ours", ignore_contact=True).target == "sip:bob@pbx.example.com"


def test_a_peer_without_a_from_tag_is_served() -> None:
    invite = incoming(From="<sip:bob@pbx.example.com>")
    dialog = SipDialog.uas(invite, "ours")
    dialog.respond(invite, 200)
    assert dialog.request("BYE").to.tag is None
