"""Requests of the PBX, on their way to bridges."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dialog_registrar.edge.incoming import LIMIT, TAKE_WITHIN, TAKEN_INVITE_FOR
from dialog_registrar.model.incoming import ALLOW, Drop, Reply, ToAnyBridge, ToBridge, decide
from dialog_registrar.model.routes import Routes
from dialog_schemas.calls import CallState
from dialog_schemas.instances import CallDirection, CallHeld, SipDialogRecord
from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import Request, parse_message
from fixtures.registrar_edge import ReceivedRequest, World, sip_request

ALICE = "sip:alice@127.0.0.1:5099"


def receive(world: World, method: str = "INVITE", name: str = "r1", to: str | None = None) -> ReceivedRequest:
    transaction = ReceivedRequest(sip_request(method, uri=ALICE))
    decision = ToBridge(to) if to else ToAnyBridge()
    world.incoming.act(decision, name, transaction, world.accounts.known[0])
    return transaction


def respond(world: World, transaction: ReceivedRequest, code: int, bridge: str = "bridge-1", name: str = "r1") -> None:
    response = transaction.request.respond(code, to_tag="t")
    response.headers.remove("Via")
    world.incoming.respond(Relay(RelayKind.RESPONSE, name, "alice@pbx.example", sender=bridge), response)


@pytest.mark.parametrize(
    ("method", "in_dialog", "bridge", "known", "decision"),
    [
        ("INVITE", False, None, True, ToAnyBridge()),
        ("INVITE", False, None, False, Reply(404)),
        ("INVITE", True, "b", True, ToBridge("b")),
        ("BYE", True, "b", False, ToBridge("b")),
        ("BYE", True, None, True, Reply(481)),
        ("BYE", False, None, True, Reply(481)),
        ("ACK", True, "b", True, ToBridge("b")),
        ("ACK", True, None, True, Drop()),
        ("BREW", False, None, True, Reply(501, (("Allow", ALLOW),))),
        ("BREW", True, None, True, Reply(481)),
    ],
)
def test_the_table_of_decisions(
    method: str, in_dialog: bool, bridge: str | None, known: bool, decision: object
) -> None:
    assert decide(method, in_dialog=in_dialog, bridge=bridge, user_known=known) == decision


@pytest.mark.parametrize(
    ("method", "code"), [("OPTIONS", 200), ("SUBSCRIBE", 405), ("MESSAGE", 405), ("REGISTER", 405)]
)
def test_what_is_answered_here_names_what_is_allowed(world: World, method: str, code: int) -> None:
    transaction = ReceivedRequest(sip_request(method, uri=ALICE))
    decision = decide(method, in_dialog=False, bridge=None, user_known=True)
    world.incoming.act(decision, "r1", transaction, world.accounts.known[0])
    assert transaction.codes == [code]
    assert "INVITE" in (transaction.responses[0].headers.get("Allow") or "")
    assert not world.bridges.requests


def test_an_invite_gets_100_at_once_and_goes_to_any_bridge(world: World) -> None:
    transaction = receive(world)
    assert transaction.codes == [100]
    call_id, relay = world.bridges.requests[0]
    assert (call_id, relay.aor, relay.sender) == ("c1", "alice@pbx.example", "registrar-1")
    assert isinstance(parse_message(relay.sip), Request)


def test_responses_are_dressed_and_passed_on(world: World) -> None:
    transaction = receive(world)
    respond(world, transaction, 180)
    respond(world, transaction, 200)
    assert transaction.codes == [100, 180, 200]
    answer = transaction.responses[-1]
    assert answer.headers.get("Contact") == f"<{ALICE}>"
    assert answer.via.branch == "z9hG4bKpbx"
    assert world.routes.find("c1", world.edge.now()) == "bridge-1"
    assert len(world.incoming) == 0


def test_no_bridge_means_503_with_retry_after_and_a_cancel_for_who_comes_late(world: World) -> None:
    transaction = receive(world)
    assert world.incoming.next() == world.edge.now() + TAKE_WITHIN
    world.advance(TAKE_WITHIN)
    world.incoming.expire(world.edge.now())
    assert transaction.codes == [100, 503]
    assert transaction.responses[-1].headers.get("Retry-After")
    late = parse_message(world.bridges.requests[-1][1].sip)
    assert isinstance(late, Request)
    assert (late.method, str(late.cseq)) == ("CANCEL", "1 CANCEL")


def test_no_answer_to_anything_else_is_500(world: World) -> None:
    transaction = receive(world, "BYE", to="bridge-1")
    world.advance(TAKE_WITHIN)
    world.incoming.expire(world.edge.now())
    assert transaction.codes == [500]


def test_a_bridge_that_dies_while_it_rings_is_noticed_in_the_end(world: World) -> None:
    transaction = receive(world)
    respond(world, transaction, 180)
    world.advance(TAKE_WITHIN)
    world.incoming.expire(world.edge.now())
    assert transaction.codes == [100, 180]
    world.advance(TAKEN_INVITE_FOR)
    world.incoming.expire(world.edge.now())
    assert transaction.codes == [100, 180, 503]


def test_the_first_bridge_has_it(world: World) -> None:
    transaction = receive(world)
    respond(world, transaction, 180, "bridge-1")
    respond(world, transaction, 486, "bridge-2")
    assert transaction.codes == [100, 180]


def test_cancel_goes_where_the_invite_went(world: World) -> None:
    transaction = receive(world)
    cancel = sip_request("CANCEL", uri=ALICE)
    world.incoming.cancelled(transaction, cancel)
    assert world.bridges.requests[-1][1].transaction == "r1"
    respond(world, transaction, 180)
    world.incoming.cancelled(transaction, cancel)
    instance, relay = world.bridges.inbox[-1]
    assert (instance, relay.kind, relay.transaction) == ("bridge-1", RelayKind.REQUEST, "r1")
    respond(world, transaction, 487)
    assert transaction.codes == [100, 180, 487]


def test_a_2xx_without_ack_is_told_to_its_bridge(world: World) -> None:
    transaction = receive(world)
    respond(world, transaction, 200)
    world.incoming.ack_timed_out(transaction)
    instance, relay = world.bridges.inbox[-1]
    assert (instance, relay.kind, relay.transaction, relay.sip) == ("bridge-1", RelayKind.ACK_TIMEOUT, "r1", b"")


def test_a_2xx_that_comes_too_late_is_never_acknowledged_and_the_bridge_told_so(world: World) -> None:
    transaction = receive(world)
    world.advance(TAKE_WITHIN)
    world.incoming.expire(world.edge.now())
    respond(world, transaction, 200)
    assert transaction.codes == [100, 503]
    assert world.bridges.inbox[-1][1].kind is RelayKind.ACK_TIMEOUT


def test_an_ack_is_passed_on_and_waits_for_nothing(world: World) -> None:
    receive(world, "ACK", to="bridge-1")
    assert world.bridges.inbox[0][0] == "bridge-1"
    assert len(world.incoming) == 0


def test_too_much_for_kafka_or_for_us_is_503(world: World) -> None:
    world.bridges.full = True
    assert receive(world).codes == [100, 503]
    assert len(world.incoming) == 0
    world.bridges.full = False
    for number in range(LIMIT):
        receive(world, name=str(number))
    assert receive(world, name="one more").codes == [503]


def held(instance: str, epoch: int = 1) -> CallHeld:
    return CallHeld(
        call_id="call-1", instance=instance, epoch=epoch, direction=CallDirection.INCOMING, aor="alice@pbx.example",
        user_id=1, state=CallState.TALKING, started_at=datetime(2026, 1, 1, tzinfo=UTC),
        sip_dialog=SipDialogRecord(call_id="c1", local_tag="a", local_uri="sip:a@b", remote_uri="sip:c@d"),
    )  # fmt: skip


def test_the_directory_outranks_what_was_learnt() -> None:
    routes = Routes()
    routes.learn("c1", "dead", 0.0)
    routes.held("call-1", held("alive"))
    assert routes.find("c1", 1.0) == "alive"
    routes.held("call-1", None)
    assert routes.find("c1", 1.0) == "dead"
    assert routes.find("c1", 10_000.0) is None
