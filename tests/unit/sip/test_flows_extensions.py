"""PRACK, UPDATE, session timers, glare, forks and INFO, through transactions and calls on a wire in memory."""

from __future__ import annotations

import pytest
from dialog_sip import Request
from dialog_sip.fields import Digit
from dialog_sip.fields.session_expires import Refresher
from dialog_sip.sip_dialog import (
    Answered,
    CallingState,
    DigitReceived,
    EarlyMediaState,
    Ended,
    Established,
    Offered,
    Received,
    Refused,
    Ringing,
    SessionSettings,
    SessionTimerSettings,
)
from dialog_sip.sip_dialog.glare import GuardState
from dialog_sip.testing import Call
from fixtures.sip_calls import FULL, PLAIN, Stage, codes, one, sdp


def respond(call: Call, code: int, body: bytes, now: float) -> None:
    """Answer the last offer that a call had."""
    offered = [event for event in call.take() if isinstance(event, Offered)][-1]
    assert offered.request is not None
    call.do(call.session.respond, offered.request, code, body, now=now)


class TestReliableResponses:
    """RFC 3262."""

    def test_the_answer_in_a_183_then_200_without_sdp(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", FULL), stage.agent("bob", FULL)
        call = alice.call("bob", sdp("alice"))
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        assert one(call, Answered) == Answered(sdp("bob"), one(call, Ringing).branch, final=True)
        answer.do(answer.machine.progress, 180, now=stage.clock.now)
        answer.do(answer.machine.accept, now=stage.clock.now)
        assert one(call, Established)
        assert stage.wire.ladder() == [
            "alice INVITE bob", "bob 183 alice", "alice PRACK bob", "bob 200 alice", "bob 180 alice",
            "alice PRACK bob", "bob 200 alice", "bob 200 alice", "alice ACK bob",
        ]  # fmt: skip
        assert codes(call) == []
        call.do(call.session.bye)
        stage.settle()

    def test_a_183_that_is_lost_comes_again(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", FULL), stage.agent("bob", FULL)
        call = alice.call("bob", sdp("alice"))
        stage.wire.loses = lambda packet: " 183 " in str(packet)
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        # What follows waits: it would overtake.
        answer.do(answer.machine.progress, 180, now=stage.clock.now)
        answer.do(answer.machine.accept, now=stage.clock.now)
        stage.clock.advance(1.4)
        assert not [event for event in call.events if isinstance(event, Ringing)]
        stage.wire.loses = lambda _: False
        stage.clock.advance(2.1)
        assert one(call, Answered).final
        assert one(call, Established)
        sent = [packet.at - 1000 for packet in stage.wire.packets if " 183 " in str(packet)]
        assert sent == [0, 0.5, 1.5]
        call.do(call.session.bye)
        stage.settle()

    def test_without_a_prack_the_call_ends(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", FULL), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"), headers=[("Supported", "100rel")])
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        stage.clock.advance(32)
        assert alice.expect(504, again=True)
        assert codes(answer) == [504]
        stage.settle()

    def test_a_prack_for_nothing(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", FULL), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"), headers=[("Supported", "100rel")])
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, now=stage.clock.now)
        alice.expect(100)
        response = alice.expect_response(183)
        alice.request_within(response, "PRACK", headers=[("RAck", "7 1 INVITE")])
        alice.expect(481)
        alice.request_within(response, "PRACK", headers=[("RAck", "x")])
        alice.expect(400)
        rseq = response.headers.get("RSeq")
        alice.request_within(response, "PRACK", headers=[("RAck", f"{rseq} 1 INVITE")])
        alice.expect(200)
        alice.request_within(response, "PRACK", headers=[("RAck", f"{rseq} 1 INVITE")])
        alice.expect(481)

    def test_a_prack_with_an_offer_of_its_own(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", FULL), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"), headers=[("Supported", "100rel")])
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        alice.expect(100)
        response = alice.expect_response(183)
        alice.request_within(response, "PRACK", headers=[("RAck", "1 1 INVITE")], sdp=sdp("alice", 2))
        respond(answer, 200, sdp("bob", 2), stage.clock.now)
        assert alice.expect_response(200).body == sdp("bob", 2)
        answer.do(answer.machine.accept, now=stage.clock.now)
        assert alice.expect_response(200).body == b""

    def test_the_offer_comes_in_a_183_and_is_answered_in_the_prack(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", FULL), stage.agent("bob", FULL)
        call = alice.call("bob")
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        branch = one(call, Ringing).branch
        assert one(call, Offered).sdp == sdp("bob")
        call.do(call.machine.acknowledge, sdp("alice"), branch)  # type: ignore[union-attr]
        assert one(answer, Answered).sdp == sdp("alice")
        answer.do(answer.machine.accept, now=stage.clock.now)
        assert one(call, Established)
        call.do(call.session.bye)
        stage.settle()

    def test_an_extension_that_is_not_known(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", FULL), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"), headers=[("Require", "100rel, foo, bar")])
        alice.expect(100)
        assert alice.expect_response(420).headers.get("Unsupported") == "foo, bar"
        assert codes(bob.last_call) == [420]


class TestUpdate:
    """RFC 3311."""

    def early(self, stage: Stage) -> tuple[Call, Call]:
        alice, bob = stage.agent("alice", FULL), stage.agent("bob", FULL)
        call = alice.call("bob", sdp("alice"))
        answer = bob.last_call
        answer.do(answer.machine.progress, 183, sdp("bob"), now=stage.clock.now)
        call.take()
        answer.take()
        return call, answer

    def test_before_the_answer(self) -> None:
        stage = Stage()
        call, answer = self.early(stage)
        [session] = call.machine.sessions  # type: ignore[union-attr]
        call.do(session.update, sdp("alice", 2))
        respond(answer, 200, sdp("bob", 2), stage.clock.now)
        assert one(call, Answered).sdp == sdp("bob", 2)
        answer.do(answer.machine.accept, now=stage.clock.now)
        assert one(call, Established)
        call.do(call.session.bye)
        stage.settle()

    def test_both_at_once_get_491_and_one_comes_first(self) -> None:
        stage = Stage()
        call, answer = self.early(stage)
        [session] = call.machine.sessions  # type: ignore[union-attr]
        stage.wire.is_held = True
        call.do(session.update, sdp("alice", 2))
        answer.do(answer.session.update, sdp("bob", 2))
        stage.wire.release()
        assert [line for line in stage.wire.ladder() if "491" in line] == ["bob 491 alice", "alice 491 bob"]
        stage.clock.advance(1.01)
        # Bob made no Call-ID: he waits at most two seconds.
        respond(call, 200, sdp("alice", 3), stage.clock.now)
        assert one(answer, Answered).sdp == sdp("alice", 3)
        answer.take()
        stage.clock.advance(3)
        respond(answer, 200, sdp("bob", 3), stage.clock.now)
        assert one(call, Answered).sdp == sdp("bob", 3)

    def test_a_second_offer_before_the_first_is_answered_gets_500(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        answer = bob.last_call
        answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, "UPDATE", sdp=sdp("alice", 2))
        alice.request_within(ok, "UPDATE", sdp=sdp("alice", 3))
        refusal = alice.expect_response(500)
        assert refusal.headers.get("Retry-After") == "5"
        respond(answer, 200, sdp("bob", 2), stage.clock.now)
        assert alice.expect_response(200).body == sdp("bob", 2)


class TestGlare:
    """RFC 3261 section 14."""

    def crossed(self) -> tuple[Stage, Call, Call]:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        stage.wire.is_held = True
        call.do(call.session.reinvite, sdp("alice", 2))
        answer.do(answer.session.reinvite, sdp("bob", 2))
        stage.wire.release()
        return stage, call, answer

    def test_both_get_491_and_try_again_one_after_the_other(self) -> None:
        stage, call, answer = self.crossed()
        assert [line for line in stage.wire.ladder() if "491" in line] == ["bob 491 alice", "alice 491 bob"]
        # The middle of 0 to 2 s for who did not make the Call-ID, of 2.1 to 4 s for who did.
        stage.clock.advance(0.99)
        assert call.events == []
        stage.clock.advance(0.02)
        respond(call, 200, sdp("alice", 3), stage.clock.now)
        assert one(answer, Answered).sdp == sdp("alice", 3)
        answer.take()
        stage.clock.advance(2.1)
        respond(answer, 200, sdp("bob", 3), stage.clock.now)
        assert one(call, Answered).sdp == sdp("bob", 3)
        call.do(call.session.bye)
        stage.settle()

    def test_ours_waits_for_the_end_of_the_peers(self) -> None:
        stage, call, answer = self.crossed()
        stage.clock.advance(1.01)
        # Alice takes her time, and her own is due meanwhile.
        stage.clock.advance(5)
        assert [line for line in stage.wire.ladder() if line == "alice INVITE bob"] == ["alice INVITE bob"]
        respond(call, 200, sdp("alice", 3), stage.clock.now)
        assert stage.wire.ladder()[-1] == "alice INVITE bob"
        answer.take()
        assert call.session.parts.guard.state is GuardState.CALLING

    def test_one_that_comes_while_the_last_has_no_answer_gets_500(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        bob.last_call.do(bob.last_call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, "INVITE", sdp=sdp("alice", 2))
        alice.request_within(ok, "INVITE", sdp=sdp("alice", 3))
        alice.expect(100)
        alice.expect(100)
        assert alice.expect_response(500).headers.get("Retry-After") == "5"

    def test_numbers_that_go_back_get_500(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        bob.last_call.do(bob.last_call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, "INFO", cseq=9)
        alice.expect(200)
        alice.request_within(ok, "INFO", cseq=8)
        alice.expect(500)

    def test_the_target_is_refreshed(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        call = bob.last_call
        call.do(call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.contact = "sip:alice@elsewhere.invalid"
        alice.request_within(ok, "UPDATE")
        alice.expect(200)
        call.do(call.session.bye)
        assert alice.expect_request("BYE").uri == "sip:alice@elsewhere.invalid"


class TestSessionTimers:
    """RFC 4028."""

    TIMED = SessionSettings(SessionTimerSettings(interval=1800), reliable=False)

    def test_the_caller_refreshes_by_update_at_half_of_the_time(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", self.TIMED), stage.agent("bob", self.TIMED)
        call, answer = stage.established(alice, bob)
        stage.clock.advance(899)
        assert stage.wire.ladder() == []
        stage.clock.advance(2)
        assert stage.wire.ladder() == ["alice UPDATE bob", "bob 200 alice"]
        stage.clock.advance(900)
        assert len(stage.wire.ladder()) == 4
        assert not call.session.is_over
        answer.do(answer.session.bye)
        stage.settle()

    def test_by_invite_where_the_peer_takes_no_update(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", self.TIMED), stage.peer("bob")
        alice.call("bob", sdp("alice"))
        invite = bob.expect_request("INVITE")
        assert (invite.headers.get("Session-Expires"), invite.headers.has_token("Supported", "timer")) == ("1800", True)
        agreed = [("Session-Expires", "100;refresher=uac"), ("Require", "timer")]
        bob.reply(invite, 200, sdp=sdp("bob"), headers=agreed)
        bob.expect("ACK")
        stage.clock.advance(50.1)
        refresh = bob.expect_request("INVITE")
        assert refresh.headers.get("Session-Expires") == "100;refresher=uac"
        # What we said before, word for word: it changes nothing (RFC 4028 section 7.4).
        assert refresh.body == sdp("alice")
        bob.reply(refresh, 200, sdp=sdp("bob"), headers=agreed)
        bob.expect("ACK")
        stage.clock.advance(49)
        bob.expect_nothing()

    def test_a_peer_that_does_not_refresh_gets_bye(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", self.TIMED), stage.peer("alice")
        headers = [("Supported", "timer"), ("Session-Expires", "120;refresher=uac")]
        alice.request("INVITE", "bob", sdp=sdp("alice"), headers=headers)
        answer = bob.last_call
        answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
        alice.expect(100)
        ok = alice.expect_response(200)
        assert ok.headers.get("Session-Expires") == "120;refresher=uac"
        assert ok.headers.get("Require") == "timer"
        alice.request_within(ok, "ACK")
        stage.clock.advance(87.9)
        alice.expect_nothing()
        # 120 s less 32.
        stage.clock.advance(0.2)
        bye = alice.expect_request("BYE")
        assert bye.headers.get("Reason") == 'SIP;cause=408;text="Session timer"'
        assert one(answer, Ended).reasons

    def test_a_refresh_that_gets_no_answer_ends_the_call(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", self.TIMED), stage.agent("bob", self.TIMED)
        call, _ = stage.established(alice, bob)
        stage.wire.detach("bob")
        stage.clock.advance(900 + 33)
        assert codes(call) == [408]
        stage.clock.advance(900)
        assert call.machine.timer is None

    def test_too_short_an_interval_is_asked_for_again(self) -> None:
        stage = Stage()
        alice = stage.agent("alice", SessionSettings(SessionTimerSettings(interval=100), reliable=False))
        bob = stage.agent("bob", SessionSettings(SessionTimerSettings(minimum=600), reliable=False))
        call = alice.call("bob", sdp("alice"))
        assert codes(bob.calls[0]) == [422]
        again = bob.last_call.machine.invite
        assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("600", "600")
        assert again.cseq.number == 2
        assert again.call_id == call.machine.invite.call_id
        bob.last_call.do(bob.last_call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        assert one(call, Established)
        call.do(call.session.bye)
        stage.settle()

    def test_a_422_that_makes_no_sense_is_a_failure(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice", self.TIMED), stage.peer("bob")
        call = alice.call("bob", sdp("alice"))
        bob.reply(bob.expect_request("INVITE"), 422, headers=[("Min-SE", "90")])
        assert codes(call) == [422]

    def test_a_peer_without_timers_leaves_it_to_us(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob", self.TIMED), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        answer = bob.last_call
        answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
        alice.expect(100)
        ok = alice.expect_response(200)
        assert ok.headers.get("Session-Expires") == f"1800;refresher={Refresher.UAS}"
        assert "Require" not in ok.headers
        alice.request_within(ok, "ACK")
        stage.clock.advance(900.1)
        refresh = alice.expect_request("INVITE")
        alice.reply(refresh, 200, sdp=sdp("alice"))
        alice.expect("ACK")
        # It said nothing of a timer: there is none any more.
        stage.clock.advance(5000)
        alice.expect_nothing()


class TestForks:
    """RFC 3261 sections 13.2.2.4 and 16.7."""

    def test_a_late_2xx_is_acknowledged_and_ended(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        for tag in ("b1", "b2", "b3"):
            proxy.reply(invite, 180, tag=tag, contact=f"sip:{tag}@{tag}.invalid")
        assert len(call.machine.sessions) == 3  # type: ignore[union-attr]
        proxy.reply(invite, 200, tag="b2", sdp=sdp("b2"), contact="sip:b2@b2.invalid")
        assert proxy.expect_request("ACK").to.tag == "b2"
        proxy.reply(invite, 200, tag="b1", sdp=sdp("b1"), contact="sip:b1@b1.invalid")
        ack, bye = proxy.expect_request("ACK"), proxy.expect_request("BYE")
        assert (ack.to.tag, bye.to.tag, bye.uri) == ("b1", "b1", "sip:b1@b1.invalid")
        proxy.reply(bye, 200)
        assert call.session.dialog.remote_tag == "b2"
        assert not call.session.is_over
        # Again, because our ACK was lost: the transaction answers, nobody else hears of it.
        proxy.reply(invite, 200, tag="b1", sdp=sdp("b1"), contact="sip:b1@b1.invalid")
        assert proxy.expect_request("ACK").to.tag == "b1"
        proxy.expect_nothing()
        # The third never answers, and is forgotten after 64*T1.
        stage.clock.advance(32.1)
        assert [session.is_over for session in call.machine.sessions] == [True, False, True]  # type: ignore[union-attr]
        assert call.machine.state is CallingState.DONE

    def test_one_that_was_never_heard_of(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        proxy.reply(invite, 200, tag="b1", sdp=sdp("b1"))
        proxy.reply(invite, 200, tag="b2", sdp=sdp("b2"))
        tags = [proxy.expect(what).to.tag for what in ("ACK", "ACK", "BYE")]
        assert tags == ["b1", "b2", "b2"]
        assert call.session.dialog.remote_tag == "b1"

    def test_199_ends_one_branch(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        proxy.reply(invite, 180, tag="b1")
        proxy.reply(invite, 180, tag="b2")
        proxy.reply(invite, 199, tag="b1")
        ended = one(call, Ended)
        assert (ended.code, ended.branch) == (199, "b1")
        proxy.reply(invite, 200, tag="b2", sdp=sdp("b2"))
        assert one(call, Established).branch == "b2"

    def test_the_media_of_the_first_branch_is_heard(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        media = call.machine.early_media  # type: ignore[union-attr]
        proxy.reply(invite, 180, tag="b1")
        assert media.state is EarlyMediaState.RINGING
        proxy.reply(invite, 183, tag="b2", sdp=sdp("b2"))
        proxy.reply(invite, 183, tag="b3", sdp=sdp("b3"))
        assert (media.state, media.branch) == (EarlyMediaState.EARLY_MEDIA, "b2")
        assert [event.final for event in call.events if isinstance(event, Answered)] == [False, False]
        proxy.reply(invite, 200, tag="b3", sdp=sdp("b3"))
        assert media.state is EarlyMediaState.OVER


class TestOtherRequests:
    def test_digits_by_info(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        for digit in ("5", "#", "D"):
            call.do(call.session.send_digit, Digit(digit, 250))
        assert [event.digit for event in answer.events if isinstance(event, DigitReceived)] == [
            Digit("5", 250), Digit("#", 250), Digit("D", 250),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("method", "headers", "body", "code"),
        [
            ("INFO", [], b"", 200),
            ("INFO", [("Content-Type", "text/plain")], b"x", 415),
            ("INFO", [("Content-Type", "application/dtmf-relay")], b"x", 400),
            ("INFO", [("Info-Package", "foo")], b"", 469),
            ("OPTIONS", [], b"", 200),
            ("MESSAGE", [], b"", 405),
            ("FROBNICATE", [], b"", 501),
            ("NOTIFY", [("Event", "presence"), ("Subscription-State", "active")], b"", 481),
            ("NOTIFY", [("Event", "refer"), ("Subscription-State", "active")], b"", 481),
            ("NOTIFY", [], b"", 489),
            ("PRACK", [("RAck", "1 1 INVITE")], b"", 481),
            ("REFER", [], b"", 400),
            ("REFER", [("Refer-To", "<mailto:x@y>")], b"", 416),
            ("UPDATE", [], b"", 200),
            ("UPDATE", [("Session-Expires", "30"), ("Supported", "timer")], b"", 422),
            ("INFO", [("Require", "foo")], b"", 420),
            ("BYE", [], b"", 200),
        ],
    )
    def test_what_a_peer_may_send(self, method: str, headers: list[tuple[str, str]], body: bytes, code: int) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        bob.last_call.do(bob.last_call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, method, headers=headers, body=body)
        alice.expect(code)
        if method == "BYE":
            alice.request_within(ok, "INFO")
            alice.expect(481)

    def test_others_go_to_the_application(self) -> None:
        stage = Stage()
        settings = SessionSettings(PLAIN.timer, reliable=False, also_allowed=("MESSAGE",))
        bob, alice = stage.agent("bob", settings), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        call = bob.last_call
        call.do(call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, "MESSAGE", body=b"hello")
        request = one(call, Received).request
        assert isinstance(request, Request)
        call.do(call.session.respond, request, 200, now=stage.clock.now)
        alice.expect(200)

    def test_a_bye_answers_what_is_open_with_487(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        call = bob.last_call
        call.do(call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        alice.request_within(ok, "INVITE", sdp=sdp("alice", 2))
        alice.request_within(ok, "BYE")
        assert [alice.expect(100), alice.expect(200), alice.expect(487)]

    def test_a_change_that_the_peer_cancels(self) -> None:
        stage = Stage()
        bob, alice = stage.agent("bob"), stage.peer("alice")
        alice.request("INVITE", "bob", sdp=sdp("alice"))
        call = bob.last_call
        call.do(call.machine.accept, sdp("bob"), now=stage.clock.now)  # type: ignore[union-attr]
        alice.expect(100)
        ok = alice.expect_response(200)
        alice.request_within(ok, "ACK")
        again = alice.request_within(ok, "INVITE", sdp=sdp("alice", 2))
        alice.cancel(again)
        alice.expect(100)
        assert [alice.expect(200).cseq.method, alice.expect(487).cseq.method] == ["CANCEL", "INVITE"]
        call.do(call.session.reinvite, sdp("bob", 2))
        alice.expect("INVITE", again=True)

    def test_a_change_that_is_refused(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice"), stage.peer("bob")
        call = alice.call("bob", sdp("alice"))
        bob.reply(bob.expect_request("INVITE"), 200, sdp=sdp("bob"))
        bob.expect("ACK")
        call.do(call.session.reinvite, sdp("alice", 2))
        bob.reply(bob.expect_request("INVITE"), 488)
        assert one(call, Refused).response.code == 488
        bob.expect("ACK")
        call.do(call.session.reinvite, sdp("alice", 3))
        # 481: the peer knows nothing of us any more.
        bob.reply(bob.expect_request("INVITE"), 481)
        assert codes(call) == [481]
