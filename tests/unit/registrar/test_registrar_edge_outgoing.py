"""Requests of bridges, on their way to the PBX."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dialog_registrar.edge.outgoing import ABANDONED_AFTER, MAX_ATTEMPTS
from dialog_registrar.edge.waiting import LIMIT, PATIENCE
from dialog_sip.transactions import Failure
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


def test_what_begins_a_sip_dialog_goes_the_way_that_the_pbx_named(world: World) -> None:
    routes = ("<sip:first.pbx.example;lr>", "<sip:second.pbx.example;lr>")
    world.edge.accounts.known[0].service_routes = routes  # type: ignore[attr-defined]
    send(world)
    assert world.sip.sent[0].request.headers.get_all("Route") == list(routes)
    world.sip.sent[0].challenge()
    assert world.sip.sent[1].request.headers.get_all("Route") == list(routes)
    within = sip_request("BYE")
    within.headers.set("To", "<sip:434@pbx.example>;tag=b")
    within.headers.set("Route", "<sip:edge.pbx.example;lr>")
    world.outgoing.request(relay_of(within, "t2"), within)
    assert world.sip.sent[2].request.headers.get_all("Route") == ["<sip:edge.pbx.example;lr>"]


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
    wait(world)
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


def wait(world: World, seconds: float = PATIENCE) -> None:
    world.advance(seconds)
    world.outgoing.expire(world.edge.now())


def test_a_flow_that_stays_down_is_said_in_bounded_time(world: World) -> None:
    world.sip.down = True
    send(world)
    wait(world, PATIENCE - 1)
    assert world.responses_to("bridge-1") == []
    wait(world, 1)
    assert world.responses_to("bridge-1") == [(503, True)]
    assert len(world.outgoing) == 0


def test_a_mapping_that_does_not_come_is_said_in_bounded_time(world: World) -> None:
    world.accounts.known.clear()
    send(world)
    wait(world)
    assert world.responses_to("bridge-1") == [(503, True)]


def test_a_mapping_of_another_registrar_is_said_at_once(world: World) -> None:
    world.accounts.known.clear()
    world.edge.taking = lambda: False
    send(world)
    assert world.responses_to("bridge-1") == [(503, True)]
    assert len(world.outgoing) == 0


def test_who_waited_for_a_mapping_hears_at_once_that_it_is_in_no_partition(world: World) -> None:
    world.accounts.known.clear()
    send(world)
    wait(world, 0)
    assert world.responses_to("bridge-1") == []
    world.edge.taking = lambda: False
    wait(world, 0)
    assert world.responses_to("bridge-1") == [(503, True)]


@pytest.mark.parametrize("taking", [True, False])
def test_a_mapping_that_is_here_waits_for_its_flow_whatever_is_taken(world: World, *, taking: bool) -> None:
    restore = lose_flow(world)
    world.edge.taking = lambda: taking
    send(world)
    assert world.responses_to("bridge-1") == []
    restore()
    wait(world, 0)
    assert [sent.request.method for sent in world.sip.sent] == ["INVITE"]


def lose_mapping(world: World) -> Callable[[], None]:
    known = list(world.accounts.known)
    world.accounts.known.clear()
    return lambda: world.accounts.known.extend(known)


def lose_password(world: World) -> Callable[[], None]:
    account = world.accounts.known[0]
    password, account.password = account.password, None
    return lambda: setattr(account, "password", password)


def lose_flow(world: World) -> Callable[[], None]:
    world.sip.down = True
    return lambda: setattr(world.sip, "down", False)


@pytest.mark.parametrize("lose", [lose_mapping, lose_password, lose_flow])
def test_what_comes_before_the_registrar_has_all_again_waits_for_it(
    world: World, lose: Callable[[World], Callable[[], None]]
) -> None:
    restore = lose(world)
    send(world)
    wait(world, 1)
    assert world.sip.sent == []
    assert world.outgoing.next() == world.edge.now() + PATIENCE - 1
    restore()
    wait(world, 0)
    world.sip.sent[0].answer(200)
    assert world.responses_to("bridge-1") == [(200, False)]
    assert world.outgoing.next() is None


@pytest.mark.parametrize("method", ["BYE", "INFO", "ACK"])
def test_only_an_invite_waits_for_the_password(world: World, method: str) -> None:
    lose_password(world)
    send(world, method)
    assert len(world.sip.sent) + len(world.sip.acks) == 1


def test_requests_of_one_sip_dialog_keep_their_order_while_they_wait(world: World) -> None:
    restore = lose_mapping(world)
    for method, transaction in (("INVITE", "t1"), ("INVITE", "t1"), ("INFO", "t2")):
        send(world, method, transaction)
    restore()
    send(world, "BYE", "t3")
    wait(world, 0)
    assert [sent.request.method for sent in world.sip.sent] == ["INVITE", "INFO", "BYE"]


def test_an_invite_that_is_cancelled_while_it_waits_is_never_sent(world: World) -> None:
    restore = lose_mapping(world)
    send(world)
    world.outgoing.cancel(relay_of(sip_request("INVITE")))
    restore()
    wait(world)
    assert world.sip.sent == []
    assert world.responses_to("bridge-1") == [(487, True)]


def test_only_so_many_wait(world: World) -> None:
    lose_mapping(world)
    for number in range(LIMIT + 1):
        send(world, transaction=f"t{number}")
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


def send_timed(world: World, interval: str = "100;refresher=uac") -> None:
    request = sip_request("INVITE")
    request.headers.add("Session-Expires", interval)
    world.outgoing.request(relay_of(request), request)


def test_a_session_interval_that_is_too_short_is_asked_for_longer(world: World) -> None:
    send_timed(world)
    world.sip.sent[0].challenge()
    world.sip.sent[1].answer(422, ("Min-SE", "600"))
    again = world.sip.sent[2].request
    assert (again.cseq.number, again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == (
        3, "600;refresher=uac", "600",
    )  # fmt: skip
    assert "nc=00000002" in (again.headers.get("Proxy-Authorization") or "")
    world.sip.sent[2].answer(200)
    assert world.responses_to("bridge-1") == [(200, False)]


@pytest.mark.parametrize(("interval", "least"), [("100", "90"), ("100", "100000"), ("100", "x"), ("x", "600")])
def test_a_422_that_makes_no_sense_ends_the_call(world: World, interval: str, least: str) -> None:
    send_timed(world, interval)
    world.sip.sent[0].answer(422, ("Min-SE", least))
    assert world.responses_to("bridge-1") == [(422, False)]


def test_422_is_obeyed_so_often_and_no_more(world: World) -> None:
    send_timed(world)
    for number in range(MAX_ATTEMPTS):
        world.sip.sent[number].answer(422, ("Min-SE", str(1000 + number)))
    assert len(world.sip.sent) == MAX_ATTEMPTS
    assert world.responses_to("bridge-1") == [(422, False)]
