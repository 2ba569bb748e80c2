"""SIP dialogs that our INVITE makes (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

import pytest
from dialog_sip import LocalProtocolError, NameAddr, RemoteProtocolError, Request, Response
from dialog_sip.sip_dialog import DialogEvent, DialogSet, DialogState, SipDialog, initial_request
from dialog_sip.sip_dialog.dialog_set import MAX_EARLY_DIALOGS
from dialog_sip.sip_dialog.machine import TRANSITIONS


def invite() -> Request:
    return initial_request(
        "INVITE",
        "sip:echo@pbx.example.com",
        from_=NameAddr.make("sip:434@pbx.example.com", "Anna", tag="ours"),
        to=NameAddr.make("sip:echo@pbx.example.com"),
        call_id="c1",
        body=b"v=0",
        content_type="application/sdp",
    )


def answer(
    request: Request, code: int, tag: str | None = "theirs", *, cseq: int | None = None, routes: tuple[str, ...] = (),
    contact: str | None = "<sip:echo@192.0.2.9:5070>",
) -> Response:  # fmt: skip
    to = request.to if tag is None or request.to.tag else request.to.with_tag(tag)
    items = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), ("From", str(request.from_)), ("To", str(to)),
        ("Call-ID", request.call_id), ("CSeq", f"{cseq or request.cseq.number} {request.method}"),
        *(("Record-Route", route) for route in routes),
    ]  # fmt: skip
    return Response(code, None, [*items, ("Contact", contact)] if contact else items)


def confirmed(**options: object) -> tuple[DialogSet, SipDialog]:
    dialogs = DialogSet(invite())
    dialog = dialogs.receive(answer(dialogs.invite, 200, **options))  # type: ignore[arg-type]
    assert dialog is not None
    return dialogs, dialog


def test_initial_request_leaves_via_and_contact_to_the_edge() -> None:
    names = [name for name, _ in invite().headers.items()]
    assert names == ["Max-Forwards", "From", "To", "Call-ID", "CSeq", "Content-Type"]


@pytest.mark.parametrize(("code", "tag"), [(100, None), (100, "x"), (180, None)])
def test_some_provisional_responses_make_no_dialog(code: int, tag: str | None) -> None:
    assert DialogSet(invite()).receive(answer(invite(), code, tag)) is None


def test_early_then_confirmed() -> None:
    dialogs = DialogSet(invite())
    early = dialogs.receive(answer(dialogs.invite, 180, contact=None))
    assert early is not None
    assert early.state is DialogState.EARLY
    assert early.target == "sip:echo@pbx.example.com"
    again = dialogs.receive(answer(dialogs.invite, 200, routes=("<sip:p1;lr>", "<sip:p2;lr>")))
    assert again is early
    assert early.state is DialogState.CONFIRMED
    assert early.target == "sip:echo@192.0.2.9:5070"
    # The route set is that of the 2xx (section 13.2.2.4), reversed.
    assert early.record.route_set == ("<sip:p2;lr>", "<sip:p1;lr>")


def test_a_challenged_invite_leaves_its_number_to_the_response() -> None:
    dialogs, dialog = confirmed(cseq=2)
    assert dialogs.cseq == 2
    assert str(dialog.ack(dialogs.cseq).cseq) == "2 ACK"
    assert str(dialog.request("BYE").cseq) == "3 BYE"


def test_a_challenged_request_in_the_dialog_does_too() -> None:
    _, dialog = confirmed()
    info = dialog.request("INFO")
    dialog.receive_response(answer(info, 200, cseq=info.cseq.number + 1))
    assert dialog.request("BYE").cseq.number == info.cseq.number + 2


def test_forks_are_dialogs_of_their_own() -> None:
    dialogs = DialogSet(invite())
    first = dialogs.receive(answer(dialogs.invite, 180, "a", contact="<sip:a@192.0.2.1>"))
    second = dialogs.receive(answer(dialogs.invite, 183, "b", contact="<sip:b@192.0.2.2>"))
    assert first is not None
    assert second is not None
    assert (first.target, second.target) == ("sip:a@192.0.2.1", "sip:b@192.0.2.2")
    dialogs.receive(answer(dialogs.invite, 200, "b", contact="<sip:b@192.0.2.2>"))
    late = dialogs.receive(answer(dialogs.invite, 200, "c"))
    assert dialogs.confirmed == (second, late)
    assert len(dialogs.dialogs) == 3


def test_invented_forks_are_bounded_but_never_a_2xx() -> None:
    dialogs = DialogSet(invite())
    for number in range(MAX_EARLY_DIALOGS + 10):
        dialogs.receive(answer(dialogs.invite, 180, f"t{number}"))
    assert len(dialogs.dialogs) == MAX_EARLY_DIALOGS
    assert dialogs.receive(answer(dialogs.invite, 200, "another")) is not None


def test_a_failure_ends_every_early_dialog() -> None:
    dialogs = DialogSet(invite())
    early = dialogs.receive(answer(dialogs.invite, 180))
    assert dialogs.receive(answer(dialogs.invite, 486)) is None
    assert early is not None
    assert early.state is DialogState.TERMINATED


def test_a_failed_reinvite_leaves_the_dialog() -> None:
    _, dialog = confirmed()
    dialog.receive_response(answer(dialog.request("INVITE"), 488))
    assert dialog.state is DialogState.CONFIRMED


@pytest.mark.parametrize("code", [408, 481])
def test_a_peer_that_forgot_the_dialog_ends_it(code: int) -> None:
    _, dialog = confirmed()
    dialog.receive_response(answer(dialog.request("INFO"), code))
    assert dialog.state is DialogState.TERMINATED


def test_a_target_refresh_moves_the_target() -> None:
    _, dialog = confirmed()
    dialog.receive_response(answer(dialog.request("INFO"), 200, contact="<sip:not@192.0.2.8>"))
    assert dialog.target == "sip:echo@192.0.2.9:5070"
    dialog.receive_response(answer(dialog.request("INVITE"), 200, contact="<sip:new@192.0.2.8>"))
    assert dialog.target == "sip:new@192.0.2.8"


def test_loose_routing() -> None:
    _, dialog = confirmed(routes=("<sip:p1.example.com;lr>", "<sip:p2.example.com;lr;x=1>"))
    bye = dialog.request("BYE")
    assert bye.uri == "sip:echo@192.0.2.9:5070"
    assert bye.headers.get_all("Route") == ["<sip:p2.example.com;lr;x=1>", "<sip:p1.example.com;lr>"]


def test_strict_routing() -> None:
    _, dialog = confirmed(routes=("<sip:p1.example.com;lr>", "<sip:p2.example.com;x=1;method=INVITE?a=b>"))
    ack = dialog.ack(1)
    assert ack.uri == "sip:p2.example.com;x=1"
    assert ack.headers.get_all("Route") == ["<sip:p1.example.com;lr>", "<sip:echo@192.0.2.9:5070>"]


def test_ignoring_contact_routes_by_the_remote_uri() -> None:
    dialogs = DialogSet(invite(), ignore_contact=True)
    dialog = dialogs.receive(answer(dialogs.invite, 200))
    assert dialog is not None
    assert dialog.request("BYE").uri == "sip:echo@pbx.example.com"
    assert dialog.record.remote_target == "sip:echo@192.0.2.9:5070"


@pytest.mark.parametrize("contact", ["<tel:+1>;", "<", "*", "<http://x>", None])
def test_an_unusable_contact_leaves_the_remote_uri(contact: str | None) -> None:
    _, dialog = confirmed(contact=contact)
    assert dialog.target in {"sip:echo@pbx.example.com", "tel:+1"}


def test_bye_ends_it_at_once() -> None:
    _, dialog = confirmed()
    bye = dialog.request("BYE")
    assert (str(bye.from_), str(bye.to)) == (
        "<sip:434@pbx.example.com>;tag=ours",
        "<sip:echo@pbx.example.com>;tag=theirs",
    )
    assert dialog.state is DialogState.TERMINATED
    with pytest.raises(LocalProtocolError):
        dialog.request("INFO")
    dialog.receive_response(answer(bye, 200))
    assert dialog.ack(1).method == "ACK"


def test_goes_on_elsewhere() -> None:
    _, dialog = confirmed()
    dialog.request("INFO")
    heir = SipDialog(dialog.record, DialogState.CONFIRMED)
    assert heir.request("BYE").encode() == dialog.request("BYE").encode()


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_requests_with_anothers_number_are_not_built_as_new_ones(method: str) -> None:
    with pytest.raises(LocalProtocolError):
        confirmed()[1].request(method)


def test_an_invite_of_ours_needs_a_tag() -> None:
    request = invite()
    request.headers.set("From", "<sip:434@pbx.example.com>")
    with pytest.raises(LocalProtocolError):
        DialogSet(request).receive(answer(request, 200))


def test_an_unreadable_route_is_the_peers_fault() -> None:
    with pytest.raises(RemoteProtocolError):
        confirmed(routes=("<http://x>",))


def test_the_table_is_total() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in DialogState for event in DialogEvent}
