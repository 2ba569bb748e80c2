"""The services of RFC 5359 (and transfers of RFC 5589). Names cite its sections; docs/sip-dialogs.md lists all."""

from __future__ import annotations

import pytest
from dialog_sip import Request
from dialog_sip.digest import Algorithm, DigestServer, Verdict
from dialog_sip.fields import (
    PICKED_UP,
    Progress,
    ReferTarget,
    Replaces,
    ReplaceVerdict,
    caller_of,
    find_replaced,
    is_picked_up_elsewhere,
    referred_by_of,
    replaces_of,
)
from dialog_sip.sdp import is_held, parse_sdp
from dialog_sip.sip_dialog import Answered, Ended, Established, Offered, Referred, Ringing, SipDialog, Transferred
from dialog_sip.testing import Call, UserAgent
from dialog_sip.uri import SipUri
from dialog_sip.values import NameAddr
from fixtures.sip_calls import Stage, codes, one, sdp


def answer_offer(call: Call, body: bytes, now: float) -> None:
    """Answer the one offer that a call had."""
    offered = one(call, Offered)
    assert offered.request is not None
    call.take()
    call.do(call.session.respond, offered.request, 200, body, now=now)


def accept(agent: UserAgent, now: float) -> Call:
    """Accept the newest call."""
    call = agent.last_call
    call.do(call.machine.accept, sdp(agent.name), now=now)  # type: ignore[union-attr]
    call.take()
    return call


def replaced_by(agent: UserAgent, invite: Request) -> tuple[ReplaceVerdict, SipDialog]:
    """Return what an INVITE with Replaces is to replace."""
    replaces = replaces_of(invite)
    assert replaces is not None
    dialogs = [call.session.dialog for call in agent.calls if call.machine.session and call is not agent.last_call]
    verdict, found = find_replaced(replaces, dialogs)
    assert isinstance(found, SipDialog)
    return verdict, found


class TestHold:
    def test_2_1_call_hold_and_back(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        answer.do(answer.session.reinvite, sdp("bob", 2, "sendonly"))
        held = parse_sdp(one(call, Offered).sdp or b"")
        assert is_held(held, held.media[0])
        answer_offer(call, sdp("alice", 2, "recvonly"), stage.clock.now)
        assert b"recvonly" in one(answer, Answered).sdp
        answer.take()
        answer.do(answer.session.reinvite, sdp("bob", 3))
        answer_offer(call, sdp("alice", 3), stage.clock.now)
        assert b"sendrecv" in one(answer, Answered).sdp
        answer.do(answer.session.bye)
        stage.settle()

    def test_2_2_consultation_hold(self) -> None:
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.agent("bob"), stage.agent("carol")
        call, answer = stage.established(alice, bob)
        answer.do(answer.session.reinvite, sdp("bob", 2, "sendonly"))
        answer_offer(call, sdp("alice", 2, "recvonly"), stage.clock.now)
        consultation, _ = stage.established(bob, carol)
        consultation.do(consultation.session.bye)
        answer.take()
        answer.do(answer.session.reinvite, sdp("bob", 3))
        answer_offer(call, sdp("alice", 3), stage.clock.now)
        assert one(answer, Answered)
        answer.do(answer.session.bye)
        stage.settle()

    def test_2_3_music_on_hold_by_an_invite_without_offer(self) -> None:
        stage = Stage()
        alice, bob, music = stage.agent("alice"), stage.agent("bob"), stage.agent("music")
        call, answer = stage.established(alice, bob)
        # Bob asks the music for its offer, gives it to Alice, and gives her answer back in the ACK.
        third = bob.call("music")
        theirs = music.last_call
        theirs.do(theirs.machine.accept, sdp("music", 1, "sendonly"), now=stage.clock.now)  # type: ignore[union-attr]
        offer = one(third, Offered).sdp
        assert offer is not None
        answer.do(answer.session.reinvite, offer)
        answer_offer(call, sdp("alice", 2, "recvonly"), stage.clock.now)
        third.do(third.machine.acknowledge, one(answer, Answered).sdp)  # type: ignore[union-attr]
        assert one(theirs, Answered).sdp == sdp("alice", 2, "recvonly")
        third.do(third.session.bye)
        answer.do(answer.session.bye)
        stage.settle()

    def test_the_peer_offers_where_we_ask(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        answer.do(answer.session.reinvite)
        assert one(call, Offered).sdp is None
        answer_offer(call, sdp("alice", 2), stage.clock.now)
        assert one(answer, Offered).sdp == sdp("alice", 2)
        answer.do(answer.session.acknowledge, sdp("bob", 2))
        assert one(call, Answered).sdp == sdp("bob", 2)
        answer.do(answer.session.bye)
        stage.settle()


class TestTransfer:
    def test_2_4_unattended(self) -> None:
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.agent("bob"), stage.agent("carol")
        call, answer = stage.established(alice, bob)
        answer.do(answer.session.refer, "sip:carol@carol.invalid", referred_by=NameAddr.make(bob.aor))
        referred = one(call, Referred)
        assert str(referred.target.uri) == "sip:carol@carol.invalid"
        call.do(call.session.accept_refer, referred.request, stage.clock.now)
        # RFC 3892 section 2.2: the new INVITE says on whose behalf.
        assert referred.referred_by is not None
        third = alice.call("carol", sdp("alice"), headers=[("Referred-By", referred.referred_by)])
        invite = carol.last_call.machine.invite
        referrer = referred_by_of(invite)
        assert referrer is not None
        assert referrer.uri_text == bob.aor
        accept(carol, stage.clock.now)
        assert one(third, Established)
        call.do(call.session.report, referred.request, Progress(200), stage.clock.now)
        assert [(event.progress, event.over) for event in answer.take() if isinstance(event, Transferred)] == [
            (Progress(100, "Trying"), False),
            (Progress(200, "OK"), True),
        ]
        answer.do(answer.session.bye)
        assert not third.session.is_over
        assert [line for line in stage.wire.ladder() if "carol" not in line] == [
            "bob REFER alice", "alice 202 bob", "alice NOTIFY bob", "bob 200 alice", "alice NOTIFY bob",
            "bob 200 alice", "bob BYE alice", "alice 200 bob",
        ]  # fmt: skip
        third.do(third.session.bye)
        stage.settle()

    def test_2_4_without_reports(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        answer.do(answer.session.refer, "sip:carol@carol.invalid", subscribe=False)
        referred = one(call, Referred)
        call.do(call.session.accept_refer, referred.request, stage.clock.now)
        call.do(call.session.report, referred.request, Progress(200), stage.clock.now)
        assert one(answer, Transferred).over
        assert stage.wire.ladder() == ["bob REFER alice", "alice 202 bob"]
        call.do(call.session.bye)
        stage.settle()

    def test_a_transfer_that_is_refused(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        answer.do(answer.session.refer, "sip:carol@carol.invalid")
        call.do(call.session.respond, one(call, Referred).request, 603, now=stage.clock.now)
        transferred = one(answer, Transferred)
        assert (transferred.progress, transferred.over) == (Progress(603, "Decline"), True)
        answer.do(answer.session.bye)
        stage.settle()

    def test_a_transfer_that_fails_comes_back(self) -> None:
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.agent("bob"), stage.agent("carol")
        call, answer = stage.established(alice, bob)
        answer.do(answer.session.refer, "sip:carol@carol.invalid")
        referred = one(call, Referred)
        call.do(call.session.accept_refer, referred.request, stage.clock.now)
        third = alice.call("carol", sdp("alice"))
        carol.last_call.do(carol.last_call.machine.reject, 486)  # type: ignore[union-attr]
        [code] = codes(third)
        assert code is not None
        call.do(call.session.report, referred.request, Progress(code), stage.clock.now)
        last = answer.take()[-1]
        assert isinstance(last, Transferred)
        assert (last.progress, last.over) == (Progress(486, "Busy Here"), True)
        assert not answer.session.is_over
        answer.do(answer.session.bye)
        stage.settle()

    def test_2_5_attended_by_refer_with_replaces(self) -> None:
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.agent("bob"), stage.agent("carol")
        call, answer = stage.established(alice, bob)
        consultation, consulted = stage.established(bob, carol)
        # Bob tells Alice to take his place in the call with Carol; tags as Carol sees them.
        record = consultation.session.dialog.record
        replaces = Replaces(record.call_id, record.remote_tag or "", record.local_tag)
        target = ReferTarget(SipUri.parse("sip:carol@carol.invalid"), replaces=replaces)
        answer.do(answer.session.refer, target)
        referred = one(call, Referred)
        assert referred.target.replaces == replaces
        call.do(call.session.accept_refer, referred.request, stage.clock.now)
        third = alice.call("carol", sdp("alice"), headers=[("Require", "replaces"), ("Replaces", str(replaces))])
        verdict, dialog = replaced_by(carol, carol.last_call.machine.invite)
        assert (verdict, dialog) == (ReplaceVerdict.ACCEPT, consulted.session.dialog)
        accept(carol, stage.clock.now)
        consulted.do(consulted.session.bye)
        assert one(consultation, Ended).by_peer
        call.do(call.session.report, referred.request, Progress(200), stage.clock.now)
        assert isinstance(answer.take()[-1], Transferred)
        answer.do(answer.session.bye)
        assert one(third, Established)
        third.do(third.session.bye)
        stage.settle()

    def test_replaces_that_matches_nothing(self) -> None:
        stage = Stage()
        call, _ = stage.established(stage.agent("alice"), stage.agent("bob"))
        dialog = call.session.dialog
        right = Replaces(dialog.call_id, dialog.local_tag, dialog.remote_tag or "")
        assert find_replaced(right, [dialog])[0] is ReplaceVerdict.ACCEPT
        assert find_replaced(right._replace(to_tag="other"), [dialog])[0] is ReplaceVerdict.NOT_FOUND
        assert find_replaced(right._replace(early_only=True), [dialog])[0] is ReplaceVerdict.NOT_EARLY
        call.do(call.session.bye)
        assert find_replaced(right, [dialog])[0] is ReplaceVerdict.ENDED


class TestForwarding:
    def test_2_7_unconditional(self) -> None:
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.peer("bob"), stage.agent("carol")
        call = alice.call("bob", sdp("alice"))
        bob.reply(bob.expect_request("INVITE"), 302, contact="sip:carol@carol.invalid")
        bob.expect("ACK")
        response = one(call, Ended).response
        assert response is not None
        again = alice.call("carol", sdp("alice"), target=str(response.contacts[0].uri))
        accept(carol, stage.clock.now)
        assert one(again, Established)

    @pytest.mark.parametrize(
        ("section", "said"),
        [("2.8 busy", [181]), ("2.9 no answer", [180, 181]), ("2.12 find-me", [180, 181, 180])],
        ids=str,
    )
    def test_2_8_2_9_and_2_12_a_proxy_forwards(self, section: str, said: list[int]) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        for number, code in enumerate(said):
            proxy.reply(invite, code, tag=f"b1{number}")
        assert [event.response.code for event in call.events if isinstance(event, Ringing)] == said
        proxy.reply(invite, 200, tag="b2", sdp=sdp("b2"), contact="sip:b2@proxy.invalid")
        assert proxy.expect_request("ACK").to.tag == "b2"
        assert call.session.dialog.remote_tag == "b2"


class TestPickup:
    def test_2_15_call_park_and_retrieval(self) -> None:
        stage = Stage()
        alice, bob, park, carol = (stage.agent(name) for name in ("alice", "bob", "park", "carol"))
        call, answer = stage.established(alice, bob)
        # Bob has the parking server call Alice in his place.
        referring, _ = stage.established(bob, park)
        record = call.session.dialog.record
        replaces = Replaces(record.call_id, record.local_tag, record.remote_tag or "")
        target = ReferTarget(SipUri.parse("sip:alice@alice.invalid"), replaces=replaces)
        referring.do(referring.session.refer, target, subscribe=False)
        parked = park.last_call
        parked.do(parked.session.accept_refer, one(parked, Referred).request, stage.clock.now)
        park.call("alice", sdp("park"), headers=[("Replaces", str(replaces))])
        verdict, dialog = replaced_by(alice, alice.last_call.machine.invite)
        assert (verdict, dialog) == (ReplaceVerdict.ACCEPT, call.session.dialog)
        held = accept(alice, stage.clock.now)
        call.do(call.session.bye)
        assert one(answer, Ended)
        # Carol takes it from there, the same way.
        record = held.session.dialog.record
        replaces = Replaces(record.call_id, record.local_tag, record.remote_tag or "")
        retrieval = carol.call("alice", sdp("carol"), headers=[("Replaces", str(replaces))])
        assert replaced_by(alice, alice.last_call.machine.invite)[1] is held.session.dialog
        accept(alice, stage.clock.now)
        assert one(retrieval, Established)

    def test_2_16_pickup_of_a_call_that_rings(self) -> None:
        stage = Stage()
        alice, bob, bill = stage.agent("alice"), stage.agent("bob"), stage.agent("bill")
        call = alice.call("bob", sdp("alice"))
        ringing = bob.last_call
        ringing.do(ringing.machine.progress, 180, now=stage.clock.now)  # type: ignore[union-attr]
        early = call.machine.sessions[0].dialog  # type: ignore[union-attr]
        replaces = Replaces(early.call_id, early.local_tag, early.remote_tag or "", early_only=True)
        pickup = bill.call("alice", sdp("bill"), headers=[("Replaces", str(replaces))])
        assert find_replaced(replaces, [early]) == (ReplaceVerdict.ACCEPT, early)
        # The one who rings may not be replaced from outside (RFC 3891 section 3).
        theirs = ringing.session.dialog
        mirrored = Replaces(theirs.call_id, theirs.local_tag, theirs.remote_tag or "", early_only=True)
        assert find_replaced(mirrored, [theirs])[0] is ReplaceVerdict.NOT_FOUND
        accept(alice, stage.clock.now)
        call.do(call.machine.cancel, PICKED_UP)  # type: ignore[union-attr]
        assert one(pickup, Established)
        assert codes(ringing) == [None]

    def test_the_cancel_of_a_call_that_was_picked_up_says_so(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice"), stage.peer("bob")
        invite = bob.request("INVITE", "alice", sdp=sdp("bob"))
        cancel = bob.cancel(invite)
        assert not is_picked_up_elsewhere(cancel)
        cancel.headers.add("Reason", str(PICKED_UP))
        assert is_picked_up_elsewhere(cancel)
        assert codes(alice.last_call) == [None]


class TestConference:
    def test_2_10_a_third_party_is_added(self) -> None:
        """Alice mixes, which is no matter of SIP; to do so she holds Bob while she calls Carol."""
        stage = Stage()
        alice, bob, carol = stage.agent("alice"), stage.agent("bob"), stage.agent("carol")
        call, answer = stage.established(alice, bob)
        call.do(call.session.reinvite, sdp("alice", 2, "sendonly"))
        answer_offer(answer, sdp("bob", 2, "recvonly"), stage.clock.now)
        third, _ = stage.established(alice, carol)
        call.take()
        call.do(call.session.reinvite, sdp("alice", 3))
        answer_offer(answer, sdp("bob", 3), stage.clock.now)
        assert one(call, Answered).sdp == sdp("bob", 3)
        for mixed in (call, third):
            mixed.do(mixed.session.bye)
        stage.settle()

    def test_2_11_joining_is_refused_by_its_name(self) -> None:
        """Join (RFC 3911) is no extension of ours: who asks for it hears so, and may call without."""
        stage = Stage()
        alice, carol = stage.agent("alice"), stage.peer("carol")
        stage.established(alice, stage.agent("bob"))
        headers = [("Require", "join"), ("Join", "1@alice;to-tag=a;from-tag=b")]
        carol.request("INVITE", "alice", sdp=sdp("carol"), headers=headers)
        carol.expect(100)
        assert carol.expect_response(420).headers.get("Unsupported") == "join"


class TestScreening:
    def test_2_13_an_incoming_call_is_screened_by_who_calls(self) -> None:
        stage = Stage()
        bob, proxy = stage.agent("bob"), stage.peer("proxy")
        proxy.request("INVITE", "bob", sdp=sdp("proxy"), headers=[("P-Asserted-Identity", "<sip:spit@spam.invalid>")])
        assert caller_of(bob.last_call.machine.invite).uri == "sip:spit@spam.invalid"
        bob.last_call.do(bob.last_call.machine.reject, 403)  # type: ignore[union-attr]
        proxy.expect(100)
        proxy.expect(403)

    def test_2_14_an_outgoing_call_is_screened_though_its_caller_is_known(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice", password="secret"), stage.peer("proxy")
        digest = DigestServer("proxy", [Algorithm.SHA_256], proxy=True)
        call = alice.call("proxy", sdp("alice"))
        proxy.reply(proxy.expect_request("INVITE"), 407, headers=digest.challenge(stage.clock.now))
        proxy.expect("ACK")
        again = proxy.expect_request("INVITE")
        assert digest.verify(again, lambda _: "secret", stage.clock.now) is Verdict.OK
        proxy.reply(again, 403)
        proxy.expect("ACK")
        assert codes(call)[-1] == 403
        stage.settle()


def test_2_17_automatic_redial_after_busy() -> None:
    """What tells that Bob is free (RFC 4235) is a subscription of the application's; calling again is a new call."""
    stage = Stage()
    alice, bob = stage.agent("alice"), stage.agent("bob")
    busy = alice.call("bob", sdp("alice"))
    bob.last_call.do(bob.last_call.machine.reject, 486)  # type: ignore[union-attr]
    assert codes(busy) == [486]
    again = alice.call("bob", sdp("alice"))
    accept(bob, stage.clock.now)
    assert one(again, Established)
    again.do(again.session.bye)
    stage.settle()


def test_2_18_click_to_dial() -> None:
    stage = Stage()
    page, alice, carol = stage.agent("page"), stage.agent("alice"), stage.agent("carol")
    call, phone = stage.established(page, alice)
    call.do(call.session.refer, "sip:carol@carol.invalid")
    referred = one(phone, Referred)
    phone.do(phone.session.accept_refer, referred.request, stage.clock.now)
    third = alice.call("carol", sdp("alice"))
    accept(carol, stage.clock.now)
    phone.do(phone.session.report, referred.request, Progress(200), stage.clock.now)
    call.do(call.session.bye)
    assert one(third, Established)
    third.do(third.session.bye)
    stage.settle()
