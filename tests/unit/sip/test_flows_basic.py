"""The call flows of RFC 3665, through transactions and calls on a wire in memory. Names of tests cite its sections."""

from __future__ import annotations

import random

import pytest
from dialog_sip import Request, Response
from dialog_sip.digest import Algorithm, DigestServer, Verdict
from dialog_sip.registration import Account, Registration, RegistrationSettings, RegistrationState, build_query
from dialog_sip.sip_dialog import Answered, CalledState, CallingState, Ended, Established, Offered, Ringing
from dialog_sip.testing import ManualClock, ScriptedPeer, UserAgent, Wire
from fixtures.sip_calls import Stage, codes, one, sdp

PASSWORD = "open sesame"


class TestRegistrations:
    """Section 2: a registration machine of ours against a scripted registrar."""

    def setup_method(self) -> None:
        self.stage = Stage()
        self.bob = self.stage.agent("bob", password=PASSWORD)
        self.registrar = self.stage.peer("registrar")
        self.digest = DigestServer("registrar", [Algorithm.SHA_256, Algorithm.MD5], key=b"k")
        self.registration = Registration(
            Account("sip:bob@example.com", "sip:registrar.invalid"),
            RegistrationSettings(),
            call_id="reg-1",
            contact="sip:bob@bob.invalid",
        )

    def register(self) -> Request:
        self.bob.request(self.registration.request(self.stage.clock.now), "registrar")
        return self.registrar.expect_request("REGISTER")

    def challenge(self, request: Request) -> Request:
        self.registrar.reply(request, 401, headers=self.digest.challenge(self.stage.clock.now))
        return self.registrar.expect_request("REGISTER")

    def grant(self, request: Request, *contacts: str) -> None:
        self.registrar.reply(request, 200, headers=[("Contact", contact) for contact in contacts])
        self.registration.receive(self.bob.answers[-1][1], self.stage.clock.now, 1)

    def test_2_1_successful_new_registration(self) -> None:
        self.registration.start(self.stage.clock.now)
        authorized = self.challenge(self.register())
        assert authorized.call_id == "reg-1"
        assert authorized.cseq.number == 2
        assert self.digest.verify(authorized, lambda _: PASSWORD, self.stage.clock.now) is Verdict.OK
        self.grant(authorized, "<sip:bob@bob.invalid>;expires=3600")
        assert self.registration.state is RegistrationState.REGISTERED
        assert self.stage.wire.ladder() == [
            "bob REGISTER registrar", "registrar 401 bob", "bob REGISTER registrar", "registrar 200 bob",
        ]  # fmt: skip

    def test_2_2_update_of_the_contact_list_keeps_others_bindings(self) -> None:
        self.registration.start(self.stage.clock.now)
        self.grant(
            self.register(), "<mailto:bob@example.com>;expires=3600", "<sip:bob@bob.invalid>;expires=60",
            "<sip:bob@desk.invalid>;expires=3600",
        )  # fmt: skip
        binding = self.registration.binding
        assert binding is not None
        assert binding.granted == 60

    def test_2_3_request_for_the_current_contacts(self) -> None:
        account = Account("sip:bob@example.com", "sip:registrar.invalid")
        self.bob.request(build_query(account, call_id="q", cseq=1), "registrar")
        query = self.challenge(self.registrar.expect_request("REGISTER"))
        assert not query.contacts
        self.registrar.reply(query, 200, headers=[("Contact", "<sip:bob@desk.invalid>;expires=3600")])
        [(_, response)] = self.bob.answers
        assert [contact.expires for contact in response.contacts] == [3600]

    def test_2_4_cancellation(self) -> None:
        self.registration.start(self.stage.clock.now)
        self.grant(self.register(), "<sip:bob@bob.invalid>;expires=60")
        self.registration.stop(self.stage.clock.now)
        request = self.register()
        assert request.headers.get("Contact") == "<sip:bob@bob.invalid>;expires=0"
        self.grant(request)
        assert self.registration.state is RegistrationState.IDLE

    def test_2_5_unsuccessful_registration(self) -> None:
        self.registration.start(self.stage.clock.now)
        again = self.challenge(self.register())
        self.registrar.reply(again, 401, headers=self.digest.challenge(self.stage.clock.now))
        self.registrar.expect_nothing()
        [(_, response)] = self.bob.answers
        self.registration.receive(response, self.stage.clock.now, 1)
        assert self.registration.state is RegistrationState.REJECTED


class TestSessions:
    """Section 3."""

    @pytest.mark.parametrize("transport", ["udp", "tcp"])
    def test_3_1_successful_session(self, transport: str) -> None:
        stage = Stage(transport)
        alice, bob = stage.agent("alice"), stage.agent("bob")
        call = alice.call("bob", sdp("alice"))
        answer = bob.last_call
        assert one(answer, Offered).sdp == sdp("alice")
        answer.do(answer.machine.progress, 180, now=stage.clock.now)
        assert one(call, Ringing).response.code == 180
        answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
        assert one(call, Answered).sdp == sdp("bob")
        assert one(call, Established)
        assert one(answer, Established)
        answer.do(answer.session.bye)
        assert one(call, Ended).by_peer
        assert not one(answer, Ended).by_peer
        assert stage.wire.ladder() == [
            "alice INVITE bob", "bob 180 alice", "bob 200 alice", "alice ACK bob", "bob BYE alice", "alice 200 bob",
        ]  # fmt: skip
        stage.settle()

    def test_3_2_record_routes_are_followed(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice"), stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        invite = proxy.expect_request("INVITE")
        routes = [("Record-Route", "<sip:p2.invalid;lr>"), ("Record-Route", "<sip:p1.invalid;lr>")]
        for name, value in routes:
            invite.headers.add(name, value)
        proxy.reply(invite, 200, sdp=sdp("bob"), contact="sip:bob@bob.invalid")
        ack = proxy.expect_request("ACK")
        assert ack.uri == "sip:bob@bob.invalid"
        assert [str(route) for route in ack.routes] == ["<sip:p1.invalid;lr>", "<sip:p2.invalid;lr>"]
        call.do(call.session.bye)
        bye = proxy.expect_request("BYE")
        assert bye.uri == "sip:bob@bob.invalid"
        assert [route.uri_text for route in bye.routes] == ["sip:p1.invalid;lr", "sip:p2.invalid;lr"]

    def test_3_3_multiple_proxy_authentication(self) -> None:
        stage = Stage()
        alice, proxy = stage.agent("alice", password=PASSWORD), stage.peer("proxy")
        realms = [DigestServer(realm, [Algorithm.MD5], proxy=True) for realm in ("atlanta", "biloxi")]
        call = alice.call("proxy", sdp("alice"))
        for number, realm in enumerate(realms, 1):
            invite = proxy.expect_request("INVITE")
            assert invite.cseq.number == number
            proxy.reply(invite, 407, headers=realm.challenge(stage.clock.now))
            assert proxy.expect_request("ACK").cseq.number == number
        invite = proxy.expect_request("INVITE")
        assert all(realm.verify(invite, lambda _: PASSWORD, stage.clock.now) is Verdict.OK for realm in realms)
        proxy.reply(invite, 200, sdp=sdp("bob"))
        ack = proxy.expect_request("ACK")
        # The ACK of a 2xx has the number and the credentials of its INVITE (RFC 3261 section 13.2.2.4).
        assert ack.cseq.number == 3
        assert len(ack.headers.get_all("Proxy-Authorization")) == 2
        call.do(call.session.bye)
        assert proxy.expect_request("BYE").cseq.number == 4

    def test_3_4_a_proxy_that_is_silent(self) -> None:
        stage = Stage()
        alice = stage.agent("alice")
        stage.peer("proxy")
        call = alice.call("proxy", sdp("alice"))
        stage.clock.advance(33)
        assert codes(call) == [408]
        # Seven INVITEs in 32 s, then silence.
        assert stage.wire.ladder(retransmissions=True) == ["alice INVITE proxy"] * 7
        # Another proxy serves as well.
        bob = stage.agent("bob")
        again = alice.call("bob", sdp("alice"))
        bob.last_call.do(bob.last_call.machine.accept, sdp("bob"), now=stage.clock.now)
        assert one(again, Established)
        again.do(again.session.bye)
        stage.settle()

    def test_3_5_through_a_gateway_that_rewrites_sdp(self) -> None:
        stage = Stage()
        alice, gateway, bob = stage.agent("alice"), stage.peer("gateway"), stage.peer("bob")
        call = alice.call("gateway", sdp("alice"))
        invite = gateway.expect_request("INVITE")
        invite.headers.add("Record-Route", "<sip:gateway.invalid;lr>")
        gateway.reply(invite, 200, sdp=sdp("gateway"), contact="sip:bob@bob.invalid")
        assert one(call, Answered).sdp == sdp("gateway")
        assert gateway.expect_request("ACK").uri == "sip:bob@bob.invalid"
        bob.expect_nothing()
        call.do(call.session.bye)
        assert [route.uri_text for route in gateway.expect_request("BYE").routes] == ["sip:gateway.invalid;lr"]

    def test_3_6_redirect_then_an_answer_in_the_ack(self) -> None:
        stage = Stage()
        alice, proxy, bob = stage.agent("alice"), stage.peer("proxy"), stage.agent("bob")
        call = alice.call("proxy")
        proxy.reply(proxy.expect_request("INVITE"), 302, contact="sip:bob@bob.invalid")
        proxy.expect("ACK")
        moved = one(call, Ended)
        assert moved.response is not None
        again = alice.call("bob", target=str(moved.response.contacts[0].uri))
        answer = bob.last_call
        assert one(answer, Offered).sdp is None
        answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
        assert one(again, Offered).sdp == sdp("bob")
        # Until our answer there is no ACK, and the 2xx comes again.
        stage.clock.advance(1)
        assert "alice ACK bob" not in stage.wire.ladder()
        again.do(again.machine.acknowledge, sdp("alice"))
        assert one(answer, Answered).sdp == sdp("alice")
        again.do(again.session.bye)
        stage.settle()

    def test_3_7_session_with_a_reinvite_for_another_address(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice"), stage.agent("bob")
        call, answer = stage.established(alice, bob)
        answer.do(answer.session.reinvite, sdp("bob", 2))
        offered = one(call, Offered)
        assert offered.request is not None
        call.do(call.session.respond, offered.request, 200, sdp("alice", 2), now=stage.clock.now)
        assert one(answer, Answered).sdp == sdp("alice", 2)
        answer.do(answer.session.bye)
        assert stage.wire.ladder() == [
            "bob INVITE alice", "alice 200 bob", "bob ACK alice", "bob BYE alice", "alice 200 bob",
        ]  # fmt: skip
        stage.settle()

    def test_3_7_a_reinvite_that_is_refused_changes_nothing(self) -> None:
        stage = Stage()
        call, answer = stage.established(stage.agent("alice"), stage.agent("bob"))
        answer.do(answer.session.reinvite, sdp("bob", 2))
        offered = one(call, Offered)
        assert offered.request is not None
        call.do(call.session.respond, offered.request, 488, now=stage.clock.now)
        assert not answer.session.is_over
        answer.take()
        answer.do(answer.session.reinvite, sdp("bob", 3))
        assert stage.wire.ladder()[-1] == "bob INVITE alice"

    def test_3_8_no_answer(self) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice"), stage.agent("bob")
        call = alice.call("bob", sdp("alice"))
        answer = bob.last_call
        answer.do(answer.machine.progress, 180, now=stage.clock.now)
        call.do(call.machine.cancel)
        assert codes(answer) == [None]
        assert codes(call) == [487, 487]  # the branch and the call
        assert stage.wire.ladder() == [
            "alice INVITE bob", "bob 180 alice", "alice CANCEL bob", "bob 200 alice", "bob 487 alice",
            "alice ACK bob",
        ]  # fmt: skip
        stage.settle()

    @pytest.mark.parametrize(("code", "section"), [(486, "3.9"), (480, "3.11"), (603, "-")])
    def test_3_9_and_3_11_unsuccessful(self, code: int, section: str) -> None:
        stage = Stage()
        alice, bob = stage.agent("alice"), stage.agent("bob")
        call = alice.call("bob", sdp("alice"))
        answer = bob.last_call
        assert isinstance(answer.machine.state, CalledState)
        answer.do(answer.machine.reject, code)
        assert codes(call) == [code]
        assert call.machine.state is CallingState.FAILED
        assert stage.wire.ladder() == ["alice INVITE bob", f"bob {code} alice", "alice ACK bob"]
        stage.settle()

    def test_3_10_no_response(self) -> None:
        stage = Stage()
        alice = stage.agent("alice")
        call = alice.call("nobody", sdp("alice"))
        call.do(call.machine.cancel)
        stage.clock.advance(700)
        # Nothing may be cancelled that was never answered (RFC 3261 section 9.1).
        assert set(stage.wire.ladder()) == {"alice INVITE nobody"}
        assert codes(call) == [408]
        stage.settle()


def test_everything_arrives_though_half_of_the_packets_are_lost() -> None:
    stage = Stage()
    chance = random.Random(3665)
    alice, bob = stage.agent("alice"), stage.agent("bob")
    stage.wire.loses = lambda _: chance.random() < 0.5
    call = alice.call("bob", sdp("alice"))
    stage.clock.advance(3)
    answer = bob.last_call
    answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
    stage.clock.advance(20)
    assert one(call, Established)
    assert one(answer, Established)
    call.do(call.session.bye)
    stage.clock.advance(20)
    assert one(answer, Ended).by_peer
    stage.settle()


def test_a_2xx_that_nobody_acknowledges_ends_with_bye() -> None:
    stage = Stage()
    bob, alice = stage.agent("bob"), stage.peer("alice")
    invite = alice.request("INVITE", "bob", sdp=sdp("alice"))
    answer = bob.last_call
    answer.do(answer.machine.accept, sdp("bob"), now=stage.clock.now)
    stage.clock.advance(33)
    bye = alice.expect("BYE", again=True)
    assert isinstance(bye, Request)
    alice.reply(bye, 200)
    assert invite.call_id == bye.call_id
    stage.settle()


def test_a_cancel_that_comes_too_late_ends_with_bye() -> None:
    stage = Stage()
    alice, bob = stage.agent("alice"), stage.peer("bob")
    call = alice.call("bob", sdp("alice"))
    invite = bob.expect_request("INVITE")
    bob.reply(invite, 180)
    call.do(call.machine.cancel)
    bob.expect("CANCEL")
    bob.reply(invite, 200, sdp=sdp("bob"))
    bob.expect("ACK")
    bye = bob.expect_request("BYE")
    bob.reply(bye, 200)
    assert call.machine.session is None
    stage.clock.advance(700)
    assert call.machine.timer is None


def test_the_peer_is_a_script() -> None:
    stage = Stage()
    bob: ScriptedPeer = stage.peer("bob")
    alice = stage.agent("alice")
    alice.call("bob", sdp("alice"))
    with pytest.raises(AssertionError, match="expected BYE, and INVITE came"):
        bob.expect("BYE")
    with pytest.raises(AssertionError, match="nothing came"):
        bob.expect("INVITE")
    assert isinstance(Response(200), Response)


def test_the_example_of_the_docs() -> None:
    clock = ManualClock()
    wire = Wire(clock)
    alice = UserAgent("alice", wire, clock)
    bob = ScriptedPeer("bob", wire)

    call = alice.call("bob", sdp("alice"))
    invite = bob.expect_request("INVITE")
    bob.reply(invite, 183, tag="one", sdp=sdp("one"))
    bob.reply(invite, 200, tag="two", sdp=sdp("two"))
    assert bob.expect_request("ACK").to.tag == "two"
    wire.loses = lambda packet: "BYE" in str(packet)
    call.do(call.session.bye)
    clock.advance(32)
    assert wire.ladder() == ["alice INVITE bob", "bob 183 alice", "bob 200 alice", "alice ACK bob", "alice BYE bob"]
