"""Every cell of the four transaction machines, met with real messages: next state, what is sent, what the TU hears."""

from collections.abc import Callable

import pytest
from dialog_sip import LocalProtocolError, Request, parse_message
from dialog_sip.transactions.tables import CLIENT, INVITE_CLIENT, INVITE_SERVER, SERVER, Machine
from fixtures.sip_layer import LayerBench, sip

Step = Callable[[LayerBench, str], None]
Rows = dict[tuple[str, str], tuple[str, list[str], list[str]]]


def rows(text: str) -> Rows:
    """Read ``state input | next state | sent | heard``."""
    found: Rows = {}
    for line in text.strip().splitlines():
        where, after, sent, heard = (part.split() for part in line.split("|"))
        found[where[0], where[1]] = (after[0], sent, heard)
    return found


# state     input           | next         | sent        | the TU hears
INVITE_CLIENT_ROWS = rows("""
CALLING     RETRANSMIT      | CALLING      | INVITE      |
CALLING     DEADLINE        | TERMINATED   |             | Timeout Terminated
CALLING     TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
CALLING     PROVISIONAL     | PROCEEDING   |             | ResponseReceived
CALLING     SUCCESS         | ACCEPTED     |             | ResponseReceived
CALLING     FAILURE         | COMPLETED    | ACK         | ResponseReceived
CALLING     TU_CANCEL       | CANCEL_HELD  |             |
CANCEL_HELD RETRANSMIT      | CANCEL_HELD  | INVITE      |
CANCEL_HELD DEADLINE        | TERMINATED   |             | Timeout Terminated
CANCEL_HELD TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
CANCEL_HELD PROVISIONAL     | CANCELLING   | CANCEL      | ResponseReceived
CANCEL_HELD SUCCESS         | ACCEPTED     |             | ResponseReceived
CANCEL_HELD FAILURE         | COMPLETED    | ACK         | ResponseReceived
CANCEL_HELD TU_CANCEL       | CANCEL_HELD  |             |
PROCEEDING  DEADLINE        | CANCELLING   | CANCEL      |
PROCEEDING  TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
PROCEEDING  PROVISIONAL     | PROCEEDING   |             | ResponseReceived
PROCEEDING  SUCCESS         | ACCEPTED     |             | ResponseReceived
PROCEEDING  FAILURE         | COMPLETED    | ACK         | ResponseReceived
PROCEEDING  TU_CANCEL       | CANCELLING   | CANCEL      |
CANCELLING  DEADLINE        | TERMINATED   |             | Timeout Terminated
CANCELLING  TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
CANCELLING  PROVISIONAL     | CANCELLING   |             | ResponseReceived
CANCELLING  SUCCESS         | ACCEPTED     |             | ResponseReceived
CANCELLING  FAILURE         | COMPLETED    | ACK         | ResponseReceived
CANCELLING  TU_CANCEL       | CANCELLING   |             |
COMPLETED   DEADLINE        | TERMINATED   |             | Terminated
COMPLETED   TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
COMPLETED   PROVISIONAL     | COMPLETED    |             |
COMPLETED   SUCCESS         | COMPLETED    |             |
COMPLETED   FAILURE         | COMPLETED    | ACK         |
COMPLETED   TU_CANCEL       | COMPLETED    |             |
ACCEPTED    DEADLINE        | TERMINATED   |             | Terminated
ACCEPTED    TRANSPORT_ERROR | ACCEPTED     |             |
ACCEPTED    PROVISIONAL     | ACCEPTED     |             |
ACCEPTED    SUCCESS         | ACCEPTED     |             | ResponseReceived
ACCEPTED    SUCCESS_AGAIN   | ACCEPTED     | ACK         |
ACCEPTED    FAILURE         | ACCEPTED     |             |
ACCEPTED    TU_CANCEL       | ACCEPTED     |             |
""")

CLIENT_ROWS = rows("""
TRYING      RETRANSMIT      | TRYING       | OPTIONS     |
TRYING      DEADLINE        | TERMINATED   |             | Timeout Terminated
TRYING      TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
TRYING      PROVISIONAL     | PROCEEDING   |             | ResponseReceived
TRYING      SUCCESS         | COMPLETED    |             | ResponseReceived
TRYING      FAILURE         | COMPLETED    |             | ResponseReceived
PROCEEDING  RETRANSMIT      | PROCEEDING   | OPTIONS     |
PROCEEDING  DEADLINE        | TERMINATED   |             | Timeout Terminated
PROCEEDING  TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
PROCEEDING  PROVISIONAL     | PROCEEDING   |             | ResponseReceived
PROCEEDING  SUCCESS         | COMPLETED    |             | ResponseReceived
PROCEEDING  FAILURE         | COMPLETED    |             | ResponseReceived
COMPLETED   DEADLINE        | TERMINATED   |             | Terminated
COMPLETED   TRANSPORT_ERROR | COMPLETED    |             |
COMPLETED   PROVISIONAL     | COMPLETED    |             |
COMPLETED   SUCCESS         | COMPLETED    |             |
COMPLETED   FAILURE         | COMPLETED    |             |
""")

INVITE_SERVER_ROWS = rows("""
PROCEEDING   REQUEST         | PROCEEDING   | 180         |
PROCEEDING   ACK             | PROCEEDING   |             |
PROCEEDING   TU_PROVISIONAL  | PROCEEDING   | 183         |
PROCEEDING   TU_SUCCESS      | ACCEPTED     | 200         |
PROCEEDING   TU_FAILURE      | COMPLETED    | 486         |
PROCEEDING   DEADLINE        | COMPLETED    | 503         | ServerTimeout
PROCEEDING   TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
COMPLETED    REQUEST         | COMPLETED    | 486         |
COMPLETED    ACK             | CONFIRMED    |             |
COMPLETED    RETRANSMIT      | COMPLETED    | 486         |
COMPLETED    DEADLINE        | TERMINATED   |             | Terminated
COMPLETED    TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
CONFIRMED    REQUEST         | CONFIRMED    |             |
CONFIRMED    ACK             | CONFIRMED    |             |
CONFIRMED    DEADLINE        | TERMINATED   |             | Terminated
CONFIRMED    TRANSPORT_ERROR | CONFIRMED    |             |
ACCEPTED     REQUEST         | ACCEPTED     |             |
ACCEPTED     ACK             | ACKNOWLEDGED |             | AckReceived
ACCEPTED     RETRANSMIT      | ACCEPTED     | 200         |
ACCEPTED     DEADLINE        | TERMINATED   |             | AckTimeout Terminated
ACCEPTED     TRANSPORT_ERROR | ACCEPTED     |             |
ACKNOWLEDGED REQUEST         | ACKNOWLEDGED |             |
ACKNOWLEDGED ACK             | ACKNOWLEDGED |             |
ACKNOWLEDGED DEADLINE        | TERMINATED   |             | Terminated
ACKNOWLEDGED TRANSPORT_ERROR | ACKNOWLEDGED |             |
""")

SERVER_ROWS = rows("""
TRYING      REQUEST         | TRYING       |             |
TRYING      RETRANSMIT      | PROCEEDING   | 100         |
TRYING      TU_PROVISIONAL  | PROCEEDING   | 100         |
TRYING      TU_SUCCESS      | COMPLETED    | 200         |
TRYING      TU_FAILURE      | COMPLETED    | 486         |
TRYING      DEADLINE        | COMPLETED    | 500         | ServerTimeout
TRYING      TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
PROCEEDING  REQUEST         | PROCEEDING   | 100         |
PROCEEDING  TU_PROVISIONAL  | PROCEEDING   | 100         |
PROCEEDING  TU_SUCCESS      | COMPLETED    | 200         |
PROCEEDING  TU_FAILURE      | COMPLETED    | 486         |
PROCEEDING  DEADLINE        | COMPLETED    | 500         | ServerTimeout
PROCEEDING  TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
COMPLETED   REQUEST         | COMPLETED    | 486         |
COMPLETED   DEADLINE        | TERMINATED   |             | Terminated
COMPLETED   TRANSPORT_ERROR | TERMINATED   |             | TransportFailed Terminated
""")


def answering(code: int, tag: str = "peer-tag") -> Step:
    return lambda bench, name: bench.answer(name, code, tag)


def responding(code: int) -> Step:
    return lambda bench, name: bench.respond(name, code)


def provisionally(bench: LayerBench, name: str) -> None:
    # What is no INVITE may get no other provisional response (RFC 4320 section 4.1).
    bench.respond(name, 183 if bench.transaction(name).request.method == "INVITE" else 100)


def cancelling(bench: LayerBench, name: str) -> None:
    bench.layer.cancel(name, bench.now)


def cancel_answered(bench: LayerBench, name: str) -> None:
    # So that the CANCEL's own timers stay out of what is looked at.
    bench.answer(f"{name};cancel", 200)


def acknowledging(bench: LayerBench, name: str) -> None:
    bench.layer.acknowledge(our_ack(), bench.flow)


def our_ack() -> Request:
    ack = sip("ACK")
    ack.headers.set("To", "<sip:bob@example.com>;tag=peer-tag")
    return ack


def again(bench: LayerBench, name: str) -> None:
    request = parse_message(bench.transaction(name).request.encode())
    assert isinstance(request, Request)
    bench.receive(request)


def peer_ack(bench: LayerBench, name: str) -> None:
    # The ACK of a failure has the branch of the INVITE, that of a 2xx its own.
    accepted = bench.transaction(name).state.name in {"ACCEPTED", "ACKNOWLEDGED"}
    bench.receive(sip("ACK", branch="z9hG4bK-ack" if accepted else "z9hG4bK-peer"))


def deadline(bench: LayerBench, name: str) -> None:
    due = bench.transaction(name).deadline_at
    assert due is not None
    bench.now = due
    bench.layer.handle_timer(due)


def retransmission(bench: LayerBench, name: str) -> None:
    due = bench.transaction(name).retransmit_at
    assert due is not None
    bench.now = due
    bench.layer.handle_timer(due)


def broken(bench: LayerBench, name: str) -> None:
    bench.layer.transport_failed(bench.flow, bench.now)


WIRE_AND_TIMERS: dict[str, Step] = {
    "RETRANSMIT": retransmission,
    "DEADLINE": deadline,
    "TRANSPORT_ERROR": broken,
    "PROVISIONAL": answering(183),
    "SUCCESS": answering(200, "another-tag"),
    "SUCCESS_AGAIN": answering(200),
    "FAILURE": answering(486),
    "TU_CANCEL": cancelling,
    "REQUEST": again,
    "ACK": peer_ack,
    "TU_PROVISIONAL": provisionally,
    "TU_SUCCESS": responding(200),
    "TU_FAILURE": responding(486),
}

REACH: dict[str, dict[str, list[Step]]] = {
    "INVITE_CLIENT": {
        "CALLING": [],
        "CANCEL_HELD": [cancelling],
        "PROCEEDING": [answering(180)],
        "CANCELLING": [answering(180), cancelling, cancel_answered],
        "COMPLETED": [answering(486)],
        "ACCEPTED": [answering(200), acknowledging],
    },
    "CLIENT": {"TRYING": [], "PROCEEDING": [answering(100)], "COMPLETED": [answering(200)]},
    "INVITE_SERVER": {
        "PROCEEDING": [responding(180)],
        "COMPLETED": [responding(486)],
        "CONFIRMED": [responding(486), peer_ack],
        "ACCEPTED": [responding(200)],
        "ACKNOWLEDGED": [responding(200), peer_ack],
    },
    "SERVER": {"TRYING": [], "PROCEEDING": [provisionally], "COMPLETED": [responding(486)]},
}

MACHINES: dict[str, tuple[Machine, Rows]] = {
    "INVITE_CLIENT": (INVITE_CLIENT, INVITE_CLIENT_ROWS),
    "CLIENT": (CLIENT, CLIENT_ROWS),
    "INVITE_SERVER": (INVITE_SERVER, INVITE_SERVER_ROWS),
    "SERVER": (SERVER, SERVER_ROWS),
}


def start(bench: LayerBench, machine: str) -> str:
    method = "INVITE" if "INVITE" in machine else "OPTIONS"
    if "CLIENT" in machine:
        return bench.send(sip(method))
    return bench.peer_sends(sip(method, branch="z9hG4bK-peer"))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_rows_here_are_all_the_cells_there(machine: str) -> None:
    table, expected = MACHINES[machine]
    assert {(state.name, what.name) for state, what in table.cells} == set(expected)


@pytest.mark.parametrize(
    ("machine", "state", "what"), [(name, *cell) for name, (_, expected) in MACHINES.items() for cell in expected]
)
def test_a_cell(machine: str, state: str, what: str) -> None:
    bench = LayerBench()
    name = start(bench, machine)
    for step in REACH[machine][state]:
        step(bench, name)
    transaction = bench.transaction(name)
    assert transaction.state.name == state
    bench.clear()
    WIRE_AND_TIMERS[what](bench, name)
    after, sent, heard = MACHINES[machine][1][state, what]
    assert transaction.state.name == after
    assert bench.sent() == sent
    assert bench.heard() == heard
    assert (name in bench.layer._store.by_id) == (after != "TERMINATED")


ILLEGAL = [
    (machine, state, what)
    for machine in ("INVITE_SERVER", "SERVER")
    for state in REACH[machine]
    for what in ("TU_PROVISIONAL", "TU_SUCCESS", "TU_FAILURE")
    if (state, what) not in MACHINES[machine][1]
]


@pytest.mark.parametrize(("machine", "state", "what"), ILLEGAL)
def test_a_tu_that_answers_twice_is_told(machine: str, state: str, what: str) -> None:
    bench = LayerBench()
    name = start(bench, machine)
    for step in REACH[machine][state]:
        step(bench, name)
    bench.clear()
    with pytest.raises(LocalProtocolError):
        WIRE_AND_TIMERS[what](bench, name)
    assert bench.transaction(name).state.name == state
    assert bench.sent() == bench.heard() == []


@pytest.mark.parametrize("machine", MACHINES)
def test_whatever_a_peer_or_a_timer_may_do_has_a_cell(machine: str) -> None:
    table, _ = MACHINES[machine]
    client = {"PROVISIONAL", "SUCCESS", "FAILURE"}
    server = {"REQUEST", "ACK"} if "INVITE" in machine else {"REQUEST"}
    always = {"DEADLINE", "TRANSPORT_ERROR"} | (client if "CLIENT" in machine else server)
    for state in REACH[machine]:
        assert always <= {what.name for own, what in table.cells if own.name == state}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_from_every_state_time_alone_leads_to_the_end(machine: str, transport: str) -> None:
    for steps in REACH[machine].values():
        bench = LayerBench(transport)
        name = start(bench, machine)
        for step in steps:
            if name in bench.layer._store.by_id:
                step(bench, name)
        bench.advance(1000.0)
        assert len(bench.layer) == 0
        assert bench.layer.timer() is None
