"""Requests of bridges, on their way to the PBX."""

from __future__ import annotations

import pytest
from dialog_registrar.edge.outgoing import ABANDONED_AFTER, MAX_ATTEMPTS
from dialog_registrar.ports import Failure
from fixtures.registrar_edge import World, relay_of, sip_request


def send(world: World, method: str = "INVITE", transaction: str = "t1") -> None:
    request = sip_request(method)
    world.outgoing.request(relay_of(request, transaction), request)


def test_the_edge_writes_what_bridges_leave_out(world: World) -> None:
    send(world)
    headers = world.sip.sent[0].request.headers
    assert headers.get("Contact") == "<sip:alice@127.0.0.1:5099>"
    assert headers.get("User-Agent") == "test/1"
    assert len(headers.get_all("Via")) == 1
    assert headers.get("Max-Forwards") == "69"


def test_responses_go_to_the_bridge_but_never_100(world: World) -> None:
    send(world)
    for code in (100, 180, 200):
        world.sip.sent[0].answer(code)
    assert world.responses_to("bridge-1") == [(180, False), (200, False)]
    assert len(world.outgoing) == 0


def test_a_challenge_is_answered_here_with_the_next_cseq(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge()
    again = world.sip.sent[1].request
    assert again.cseq.number == 2
    assert 'username="alice"' in (again.headers.get("Proxy-Authorization") or "")
    assert len(again.headers.get_all("Via")) == 1
    world.sip.sent[1].answer(200)
    assert world.responses_to("bridge-1") == [(200, False)]


def test_the_ack_carries_the_credentials_of_its_invite(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge()
    world.sip.sent[1].answer(200)
    ack = sip_request("ACK", to_tag="b", cseq=2)
    world.outgoing.request(relay_of(ack, "t2"), ack)
    sent = world.sip.acks[0].headers
    assert sent.get("Proxy-Authorization") == world.sip.sent[1].request.headers.get("Proxy-Authorization")


def test_a_refused_password_is_a_403_of_our_own(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge(nonce="n1")
    world.sip.sent[1].challenge(nonce="n2")
    assert world.responses_to("bridge-1") == [(403, True)]
    assert len(world.sip.sent) == 2


def test_a_stale_nonce_is_answered_again_but_not_for_ever(world: World) -> None:
    send(world)
    for number in range(MAX_ATTEMPTS):
        world.sip.sent[number].challenge(nonce=f"n{number}", stale=True)
    assert len(world.sip.sent) == MAX_ATTEMPTS
    assert world.responses_to("bridge-1") == [(403, True)]


def test_a_nonce_that_was_taken_is_used_again(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge(nonce="n1")
    world.sip.sent[1].answer(200)
    send(world, transaction="t2")
    credentials = world.sip.sent[2].request.headers.get("Proxy-Authorization") or ""
    assert 'nonce="n1"' in credentials
    assert "nc=00000002" in credentials


def test_a_nonce_that_is_too_old_by_then_costs_a_challenge_and_nothing_more(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge(nonce="n1")
    world.sip.sent[1].answer(200)
    send(world, transaction="t2")
    world.sip.sent[2].challenge(nonce="n2")
    world.sip.sent[3].answer(200)
    assert world.responses_to("bridge-1") == [(200, False), (200, False)]
    send(world, transaction="t3")
    assert 'nonce="n2"' in (world.sip.sent[4].request.headers.get("Proxy-Authorization") or "")


def test_credentials_go_to_no_other_server(world: World) -> None:
    send(world)
    world.sip.sent[0].challenge(nonce="n1")
    world.sip.sent[1].answer(200)
    account = world.accounts.known[0]
    account.server = account.server._replace(port=5070)
    send(world, transaction="t2")
    assert world.sip.sent[2].request.headers.get("Proxy-Authorization") is None


def test_two_calls_of_one_mapping_do_not_disturb_each_other(world: World) -> None:
    send(world, transaction="t1")
    send(world, transaction="t2")
    world.sip.sent[0].challenge(nonce="n1")
    world.sip.sent[1].challenge(nonce="n2")
    assert len(world.sip.sent) == 4
    assert world.responses_to("bridge-1") == []


def test_without_the_password_the_bridge_hears_so(world: World) -> None:
    world.accounts.known[0].password = None
    send(world)
    world.sip.sent[0].challenge()
    assert world.responses_to("bridge-1") == [(503, True)]


def test_cancel_reaches_the_transaction(world: World) -> None:
    send(world)
    world.outgoing.cancel(relay_of(sip_request("INVITE")))
    assert world.sip.sent[0].cancelled
    world.sip.sent[0].answer(487)
    assert world.responses_to("bridge-1") == [(487, False)]


def test_a_cancelled_call_does_not_answer_a_challenge(world: World) -> None:
    send(world)
    world.outgoing.cancel(relay_of(sip_request("INVITE")))
    world.sip.sent[0].challenge()
    assert len(world.sip.sent) == 1
    assert world.responses_to("bridge-1") == [(487, True)]


@pytest.mark.parametrize(("failure", "code"), [(Failure.TIMEOUT, 408), (Failure.TRANSPORT, 503)])
def test_no_response_is_a_response_of_our_own(world: World, failure: Failure, code: int) -> None:
    send(world)
    world.sip.sent[0].events.failed(failure)
    assert world.responses_to("bridge-1") == [(code, True)]
    assert len(world.outgoing) == 0


def test_a_flow_that_is_down_is_said_at_once(world: World) -> None:
    world.sip.down = True
    send(world)
    assert world.responses_to("bridge-1") == [(503, True)]


def test_a_mapping_that_is_elsewhere_is_said_at_once(world: World) -> None:
    world.accounts.known.clear()
    send(world)
    assert world.responses_to("bridge-1") == [(503, True)]


def test_the_same_record_twice_is_one_request(world: World) -> None:
    send(world)
    send(world)
    world.sip.sent[0].answer(486)
    send(world)
    assert len(world.sip.sent) == 1


def test_every_fork_that_answers_is_passed_on(world: World) -> None:
    send(world)
    world.sip.sent[0].answer(200)
    world.sip.sent[0].answer(180)
    world.sip.sent[0].answer(200)
    assert world.responses_to("bridge-1") == [(200, False), (200, False)]


def test_what_is_never_answered_ends_with_408(world: World) -> None:
    send(world)
    world.advance(ABANDONED_AFTER + 1)
    world.outgoing.sweep(world.edge.now())
    assert world.responses_to("bridge-1") == [(408, True)]


def test_the_dialog_is_routed_to_who_started_it(world: World) -> None:
    send(world)
    assert world.routes.find("c1", world.edge.now()) == "bridge-1"
