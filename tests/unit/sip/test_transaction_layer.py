"""Matching, ACK, CANCEL, forks, bounds, and what the layer writes into messages."""

import pytest
from dialog_sip import LocalProtocolError, RemoteProtocolError, Request, Response, parse_message
from dialog_sip.transactions import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    TooManyTransactionsError,
)
from fixtures.sip_layer import FakeFlow, LayerBench, sip


def acked(tag: str = "peer-tag") -> Request:
    ack = sip("ACK")
    ack.headers.set("To", f"<sip:bob@example.com>;tag={tag}")
    return ack


class TestRequestsOfOurs:
    def test_a_via_is_added_to_a_copy(self) -> None:
        bench = LayerBench()
        request = sip("OPTIONS")
        bench.send(request)
        [sent] = bench.wire()
        assert str(sent.via) == "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtoken1;rport"
        assert "Via" not in request.headers

    def test_the_via_of_an_earlier_attempt_does_not_stay(self) -> None:
        bench = LayerBench()
        request = sip("OPTIONS", branch="z9hG4bK-old")
        bench.send(request)
        [sent] = bench.wire()
        assert [via.branch for via in sent.vias] == ["z9hG4bKtoken1"]

    def test_an_ipv6_address_is_bracketed(self) -> None:
        bench = LayerBench()
        bench.flow = FakeFlow("tcp", ("2001:db8::1", 5060), ("2001:db8::2", 5060))
        bench.send(sip("OPTIONS"))
        [sent] = bench.wire()
        assert (sent.via.transport, sent.via.sent_by) == ("TCP", "[2001:db8::1]:5060")

    def test_the_response_comes_with_the_transaction(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("OPTIONS"))
        bench.answer(name, 200)
        [event] = bench.take()
        assert isinstance(event, ResponseReceived)
        assert (event.transaction, event.response.code, event.flow) == (name, 200, bench.flow)

    def test_a_caller_may_choose_the_name(self) -> None:
        bench = LayerBench()
        name = bench.layer.request(sip("OPTIONS"), bench.flow, bench.now, transaction="bridge-1/7")
        assert name == "bridge-1/7"
        with pytest.raises(LocalProtocolError):
            bench.layer.request(sip("OPTIONS"), bench.flow, bench.now, transaction="bridge-1/7")

    @pytest.mark.parametrize("method", ["ACK", "CANCEL"])
    def test_ack_and_cancel_are_no_requests_of_their_own(self, method: str) -> None:
        with pytest.raises(LocalProtocolError):
            LayerBench().send(sip(method))

    def test_a_response_to_another_method_or_branch_is_dropped(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("OPTIONS"))
        bench.answer(name, 200, method="MESSAGE")
        response = sip("OPTIONS", branch="z9hG4bK-unknown").respond(200)
        bench.receive(response)
        assert bench.heard() == []

    def test_a_success_of_an_invite_that_another_process_sent_is_heard_of(self) -> None:
        bench = LayerBench()
        for code in (180, 486, 200):
            bench.receive(sip("INVITE", branch="z9hG4bK-unknown").respond(code))
        assert bench.heard() == ["StraySuccess"]

    def test_a_branch_of_an_earlier_process_is_kept_but_not_taken_twice(self) -> None:
        bench = LayerBench()
        for _ in range(2):
            bench.layer.request(sip("INVITE"), bench.flow, 0.0, branch="z9hG4bK-before")
        branches = {parse_message(data).via.branch for _, data in bench.layer.take_transmits()}
        assert "z9hG4bK-before" in branches
        assert len(branches) == 2

    def test_a_malformed_response_is_dropped(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("OPTIONS"))
        request = parse_message(bench.transaction(name).sent)
        assert isinstance(request, Request)
        for header, value in (("CSeq", "x"), ("Via", "x"), ("To", "<")):
            response = request.respond(200)
            response.headers.set(header, value)
            bench.receive(response)
        # A 2xx to OPTIONS is not looked at beyond Via and CSeq: what is in To is for the application.
        assert bench.heard() == ["ResponseReceived"]

    def test_too_many_are_refused(self) -> None:
        bench = LayerBench(limit=2)
        bench.send(sip("OPTIONS"))
        bench.send(sip("OPTIONS"))
        with pytest.raises(TooManyTransactionsError):
            bench.send(sip("OPTIONS"))


class TestInviteOfOurs:
    def test_the_ack_of_a_failure(self) -> None:
        bench = LayerBench()
        invite = sip("INVITE", cseq=7)
        invite.headers.add("Route", "<sip:proxy;lr>")
        name = bench.send(invite)
        [sent] = bench.wire()
        bench.answer(name, 486)
        [ack] = bench.wire()
        assert isinstance(ack, Request)
        assert (ack.method, ack.uri) == ("ACK", "sip:bob@example.com")
        assert ack.vias == sent.vias
        assert ack.cseq == (7, "ACK")
        assert ack.to.tag == "peer-tag"
        assert ack.from_ == sent.from_
        assert ack.call_id == sent.call_id
        assert [route.uri_text for route in ack.routes] == ["sip:proxy;lr"]
        assert ack.max_forwards == 70

    def test_the_ack_of_a_success_is_sent_again_for_each_that_comes_again(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("INVITE"))
        bench.answer(name, 200)
        bench.clear()
        bench.layer.acknowledge(acked(), bench.flow)
        [first] = bench.wire()
        assert first.via.branch not in {None, bench.transaction(name).key[0]}
        for _ in range(3):
            bench.answer(name, 200)
            assert bench.wire() == [first]
        assert bench.heard() == []

    def test_a_2xx_that_comes_again_before_the_ack_waits_for_it(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("INVITE"))
        bench.answer(name, 200)
        bench.clear()
        bench.answer(name, 200)
        assert bench.sent() == bench.heard() == []

    def test_each_fork_has_its_own_ack(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("INVITE"))
        for tag in ("one", "two"):
            bench.answer(name, 200, tag)
            bench.layer.acknowledge(acked(tag), bench.flow)
        assert bench.heard() == ["ResponseReceived"] * 2
        bench.clear()
        bench.answer(name, 200, "one")
        [ack] = bench.wire()
        assert ack.to.tag == "one"

    def test_forks_are_bounded(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("INVITE"))
        for index in range(100):
            bench.answer(name, 200, f"tag{index}")
        assert len(bench.heard()) == 32

    def test_an_ack_without_its_invite_is_just_sent(self) -> None:
        bench = LayerBench()
        bench.layer.acknowledge(acked(), bench.flow)
        assert bench.sent() == ["ACK"]

    def test_cancel_waits_for_a_provisional_response(self) -> None:
        bench = LayerBench()
        invite = sip("INVITE", cseq=7)
        invite.headers.add("Route", "<sip:proxy;lr>")
        name = bench.send(invite)
        [sent] = bench.wire()
        assert bench.layer.cancel(name, bench.now)
        assert bench.sent() == []
        bench.answer(name, 100)
        [cancel] = bench.wire()
        assert isinstance(cancel, Request)
        assert (cancel.method, cancel.uri, cancel.cseq) == ("CANCEL", "sip:bob@example.com", (7, "CANCEL"))
        assert cancel.vias == sent.vias
        assert cancel.to.tag is None
        assert [route.uri_text for route in cancel.routes] == ["sip:proxy;lr"]

    def test_the_response_to_cancel_is_nobodys_business(self) -> None:
        bench = LayerBench()
        name = bench.send(sip("INVITE"))
        bench.answer(name, 180)
        bench.layer.cancel(name, bench.now)
        bench.clear()
        bench.answer(f"{name};cancel", 200)
        assert bench.heard() == []
        bench.answer(name, 487)
        assert bench.heard() == ["ResponseReceived"]
        assert bench.sent() == ["ACK"]

    def test_what_is_over_cannot_be_cancelled(self) -> None:
        bench = LayerBench()
        assert not bench.layer.cancel("unknown", bench.now)
        with pytest.raises(LocalProtocolError):
            bench.layer.cancel(bench.send(sip("OPTIONS")), bench.now)


class TestRequestsOfPeers:
    def test_a_request_is_heard_once(self) -> None:
        bench = LayerBench()
        for _ in range(3):
            bench.receive(sip("OPTIONS", branch="z9hG4bK-1"))
        [event] = bench.take()
        assert isinstance(event, RequestReceived)
        assert event.request.method == "OPTIONS"

    def test_names_are_not_the_peers_to_choose(self) -> None:
        bench = LayerBench()
        assert bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-1")) == "token1"

    def test_the_same_branch_of_another_sender_or_method_is_another_request(self) -> None:
        bench = LayerBench()
        other = sip("OPTIONS", branch="z9hG4bK-1", call_id="call-2")
        other.headers.set("Via", "SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bK-1")
        for request in (sip("OPTIONS", branch="z9hG4bK-1"), other, sip("BYE", branch="z9hG4bK-1")):
            bench.receive(request)
        assert len(bench.take()) == 3

    def test_a_copy_that_came_by_another_way_is_merged(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.clear()
        bench.receive(sip("INVITE", branch="z9hG4bK-2"))
        bench.receive(sip("INVITE", branch="z9hG4bK-2"))
        assert bench.sent() == ["482", "482"]
        assert bench.heard() == []
        bench.receive(sip("INVITE", branch="z9hG4bK-3", cseq=2))
        forked = sip("INVITE", branch="z9hG4bK-5")
        forked.uri = "sip:carol@example.com"
        bench.receive(forked)
        assert bench.heard() == ["RequestReceived", "RequestReceived"]
        bench.respond(name, 486)
        bench.clear()
        bench.receive(sip("INVITE", branch="z9hG4bK-4"))
        assert bench.heard() == ["RequestReceived"]

    @pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
    def test_a_copy_of_what_was_done_is_not_done_again(self, method: str) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip(method, branch="z9hG4bK-1"))
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip(method, branch="z9hG4bK-2"))
        assert (bench.sent(), bench.heard()) == (["482"], [])
        bench.advance(100.0)
        bench.clear()
        bench.receive(sip(method, branch="z9hG4bK-3"))
        assert bench.heard() == ["RequestReceived"]

    @pytest.mark.parametrize("method", ["OPTIONS", "REGISTER"])
    def test_what_does_nothing_twice_is_answered_again(self, method: str) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip(method, branch="z9hG4bK-1"))
        bench.receive(sip(method, branch="z9hG4bK-2"))
        assert bench.sent() == ["482"]
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip(method, branch="z9hG4bK-3"))
        assert bench.heard() == ["RequestReceived"]

    @pytest.mark.parametrize("code", [180, 199, 408])
    def test_what_rfc_4320_forbids_but_for_invite(self, code: int) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-1"))
        with pytest.raises(LocalProtocolError):
            bench.respond(name, code)
        assert bench.sent() == []
        bench.respond(bench.peer_sends(sip("INVITE", branch="z9hG4bK-2", cseq=2)), code)

    def test_an_invite_is_told_100_at_once(self) -> None:
        bench = LayerBench()
        bench.receive(sip("INVITE", branch="z9hG4bK-1"))
        assert bench.sent() == ["100"]
        bench.receive(sip("INVITE", branch="z9hG4bK-1"))
        assert bench.sent() == ["100"]

    def test_an_answer_to_what_is_over_is_refused(self) -> None:
        bench = LayerBench()
        with pytest.raises(LocalProtocolError):
            bench.layer.respond("unknown", Response(200), bench.now)
        client = bench.send(sip("OPTIONS"))
        with pytest.raises(LocalProtocolError):
            bench.layer.respond(client, Response(200), bench.now)

    def test_a_peer_of_rfc_2543_has_no_branch_to_go_by(self) -> None:
        bench = LayerBench()
        invite = sip("INVITE", branch="1")
        name = bench.peer_sends(invite)
        bench.receive(sip("INVITE", branch="1"))
        assert bench.heard() == ["RequestReceived"]
        bench.receive(sip("INVITE", branch="1", cseq=2))
        assert bench.heard() == ["RequestReceived"]
        bench.respond(name, 486)
        bench.clear()
        ack = sip("ACK", branch="1")
        ack.headers.set("To", "<sip:bob@example.com>;tag=our-tag")
        bench.receive(ack)
        assert bench.transaction(name).state.name == "CONFIRMED"

    @pytest.mark.parametrize(
        ("via", "expected"),
        [
            ("SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK1", {"branch": "z9hG4bK1"}),
            ("SIP/2.0/UDP pc.lan:5060;branch=z9hG4bK1", {"branch": "z9hG4bK1", "received": "192.0.2.20"}),
            (
                "SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK1",
                {"rport": "5060", "branch": "z9hG4bK1", "received": "192.0.2.20"},
            ),
        ],
    )
    def test_what_is_seen_of_the_sender_goes_into_the_via(self, via: str, expected: dict[str, str]) -> None:
        bench = LayerBench()
        request = sip("OPTIONS")
        request.headers.prepend("Via", "SIP/2.0/TCP inner")
        request.headers.prepend("Via", via)
        bench.receive(request)
        [event] = bench.take()
        assert isinstance(event, RequestReceived)
        assert event.request.via.params == expected
        assert event.request.vias[1].host == "inner"

    def test_without_rport_the_answer_goes_to_the_port_of_sent_by(self) -> None:
        bench = LayerBench()
        bench.flow.remote = ("192.0.2.20", 40000)
        bench.receive(sip("OPTIONS", branch="z9hG4bK-1"))
        [event] = bench.take()
        assert isinstance(event, RequestReceived)
        assert event.flow.remote == ("192.0.2.20", 5060)
        request = sip("OPTIONS", call_id="call-2")
        request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bK-2")
        bench.receive(request)
        [event] = bench.take()
        assert isinstance(event, RequestReceived)
        assert event.flow is bench.flow

    @pytest.mark.parametrize(
        ("header", "value"),
        [("CSeq", "1 BYE"), ("CSeq", "x OPTIONS"), ("From", "<sip:a"), ("Call-ID", "a b")],
    )
    def test_a_malformed_request_is_answered_where_it_can_be(self, header: str, value: str) -> None:
        bench = LayerBench()
        request = sip("OPTIONS", branch="z9hG4bK-1")
        request.headers.set(header, value)
        bench.receive(request)
        assert bench.heard() == []
        assert bench.sent() in (["400"], [])
        assert len(bench.layer) == 0

    def test_a_mismatch_of_methods_is_answered(self) -> None:
        bench = LayerBench()
        request = sip("OPTIONS", branch="z9hG4bK-1")
        request.headers.set("CSeq", "1 BYE")
        bench.receive(request)
        assert bench.sent() == ["400"]

    def test_nothing_is_answered_to_a_malformed_ack_or_without_a_via(self) -> None:
        bench = LayerBench()
        broken = sip("ACK", branch="z9hG4bK-1")
        broken.headers.set("CSeq", "x")
        bench.receive(broken)
        bench.receive(sip("OPTIONS"))
        bench.layer.refuse(sip("ACK"), RemoteProtocolError("x"), bench.flow)
        assert bench.sent() == bench.heard() == []

    def test_the_ack_of_a_success_is_found_without_its_branch(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip("ACK", branch="z9hG4bK-2"))
        [event] = bench.take()
        assert isinstance(event, AckReceived)
        assert event.transaction == name

    def test_the_ack_of_another_call_is_not_taken_for_it(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip("ACK", branch="z9hG4bK-2", call_id="other"))
        bench.receive(sip("ACK", branch="z9hG4bK-3", cseq=2))
        events = bench.take()
        assert [event.transaction for event in events if isinstance(event, AckReceived)] == [None, None]
        assert bench.transaction(name).state.name == "ACCEPTED"

    def test_an_ack_timeout_names_the_transaction(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.respond(name, 200)
        bench.advance(33.0)
        assert [event.transaction for event in bench.take() if isinstance(event, AckTimeout)] == [name]


class TestCancelOfPeers:
    def test_a_cancel_is_answered_and_heard(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.respond(name, 180)
        bench.clear()
        bench.receive(sip("CANCEL", branch="z9hG4bK-1"))
        [event] = bench.take()
        assert isinstance(event, CancelReceived)
        assert (event.transaction, event.request.method) == (name, "CANCEL")
        [answer] = bench.wire()
        assert isinstance(answer, Response)
        assert (answer.code, answer.cseq.method, answer.to.tag) == (200, "CANCEL", "our-tag")
        bench.respond(name, 487)
        assert bench.sent() == ["487"]

    def test_a_cancel_before_any_response_takes_the_tag_that_they_will_have(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.clear()
        bench.receive(sip("CANCEL", branch="z9hG4bK-1"))
        [answer] = bench.wire()
        assert answer.to.tag == bench.transaction(name).request.local_tag

    def test_a_cancel_that_comes_again_is_answered_again_and_heard_once(self) -> None:
        bench = LayerBench()
        bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.clear()
        for _ in range(2):
            bench.receive(sip("CANCEL", branch="z9hG4bK-1"))
        assert bench.sent() == ["200", "200"]
        assert bench.heard() == ["CancelReceived"]

    def test_a_cancel_after_the_answer_changes_nothing(self) -> None:
        bench = LayerBench()
        name = bench.peer_sends(sip("INVITE", branch="z9hG4bK-1"))
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip("CANCEL", branch="z9hG4bK-1"))
        assert bench.sent() == ["200"]
        assert bench.heard() == []

    def test_a_cancel_of_nothing(self) -> None:
        bench = LayerBench()
        bench.receive(sip("CANCEL", branch="z9hG4bK-1"))
        assert bench.sent() == ["481"]
        assert bench.heard() == []


class TestBounds:
    def test_the_oldest_request_of_a_peer_gives_way(self) -> None:
        bench = LayerBench(limit=3)
        for index in range(4):
            bench.receive(sip("OPTIONS", branch=f"z9hG4bK-{index}", call_id=f"call-{index}"))
        [refusal] = bench.wire()
        assert isinstance(refusal, Response)
        assert (refusal.code, refusal.via.branch) == (503, "z9hG4bK-0")
        assert refusal.headers.get("Retry-After") == "5"
        assert bench.heard().count("ServerTimeout") == 1
        assert len(bench.layer) == 3

    def test_one_that_is_answered_goes_quietly(self) -> None:
        bench = LayerBench(limit=1)
        name = bench.peer_sends(sip("OPTIONS", branch="z9hG4bK-0"))
        bench.respond(name, 200)
        bench.clear()
        bench.receive(sip("OPTIONS", branch="z9hG4bK-1"))
        assert bench.sent() == []
        assert bench.heard() == ["Terminated", "RequestReceived"]

    def test_requests_of_ours_do_not_give_way(self) -> None:
        bench = LayerBench(limit=1)
        name = bench.send(sip("OPTIONS"))
        bench.receive(sip("OPTIONS", branch="z9hG4bK-1"))
        bench.answer(name, 200)
        assert "ResponseReceived" in bench.heard()


def test_a_broken_flow_ends_its_own_transactions_only() -> None:
    bench = LayerBench()
    kept, other = bench.send(sip("OPTIONS")), FakeFlow()
    bench.layer.request(sip("OPTIONS"), other, bench.now)
    bench.layer.transport_failed(other, bench.now)
    assert bench.heard() == ["TransportFailed", "Terminated"]
    assert bench.transaction(kept).state.name == "TRYING"
