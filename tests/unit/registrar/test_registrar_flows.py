"""The flows, against a peer on loopback: opened, lost, opened again, and what travels on them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import structlog
from dialog_registrar.adapters.sip import SipFlows
from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import FlowDownError, ServerTransaction
from dialog_runtime.config.modules import Registrar as Config
from dialog_schemas.mappings import Transport
from dialog_sip import Request, Response, SipUri
from dialog_sip.aio import Endpoint, Flow, ServerRequest
from dialog_sip.transactions import Failure
from fixtures.registrar_edge import sip_request


@dataclass
class Events:
    """What the flows reported, in order."""

    seen: list[tuple[str, object]] = field(default_factory=list)
    requests: list[ServerTransaction] = field(default_factory=list)
    some: asyncio.Condition = field(default_factory=asyncio.Condition)

    def flow_up(self, server: Server, address: str) -> None:
        self._note("up", address)

    def flow_down(self, server: Server) -> None:
        self._note("down", None)

    def flow_failed(self, server: Server, why: str) -> None:
        self._note("failed", why)

    def flow_closed(self, server: Server) -> None:
        self._note("closed", None)

    def silence_ended(self, server: Server, seconds: float) -> None:
        self._note("silence", seconds)

    def request_received(self, server: Server, transaction: ServerTransaction) -> None:
        self.requests.append(transaction)
        self._note(transaction.request.method, transaction.request)

    def cancel_received(self, transaction: ServerTransaction, cancel: Request) -> None:
        self._note("cancel", transaction)

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        self._note("ack timeout", transaction)

    def received(self, response: Response) -> None:
        self._note("response", response.code)

    def failed(self, failure: Failure) -> None:
        self._note("failure", failure)

    def _note(self, what: str, detail: object) -> None:
        self.seen.append((what, detail))
        task = asyncio.ensure_future(self._wake())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _wake(self) -> None:
        async with self.some:
            self.some.notify_all()

    async def wait(self, what: str, count: int = 1) -> object:
        """Wait until something was reported so often, and return what was said of it last."""

        def said() -> list[object]:
            return [detail for name, detail in self.seen if name == what]

        async with asyncio.timeout(10), self.some:
            await self.some.wait_for(lambda: len(said()) >= count)
        return said()[-1]


@pytest.fixture
async def events() -> Events:
    return Events()


FlowsFactory = Callable[..., SipFlows]


@pytest.fixture
async def make_flows(events: Events) -> AsyncIterator[FlowsFactory]:
    made: list[tuple[SipFlows, asyncio.Task[None]]] = []

    def make(trace_level: int = 16, **config: object) -> SipFlows:
        flows = SipFlows(Config(**config), events, trace_level=trace_level)  # type: ignore[arg-type]
        made.append((flows, asyncio.create_task(flows.run())))
        return flows

    yield make
    for flows, task in made:
        flows.stop()
        await asyncio.wait_for(task, 10)


@dataclass
class Peer:
    """A PBX that answers everything with 200."""

    endpoint: Endpoint
    port: int
    flows: list[Flow]

    def server(self, transport: str) -> Server:
        return Server(Transport(transport), "127.0.0.1", self.port)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    flows: list[Flow] = []

    def answer(request: ServerRequest) -> None:
        request.respond(200)

    endpoint = Endpoint(answer, keepalive=None, on_flow=flows.append)
    # Of TCP's ports many are taken by connections that were, of UDP's few.
    tcp = await endpoint.listen("tcp", "127.0.0.1")
    await endpoint.listen("udp", "127.0.0.1", tcp.address[1])
    yield Peer(endpoint, tcp.address[1], flows)
    await endpoint.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_flow_carries_requests_both_ways(
    make_flows: FlowsFactory, events: Events, peer: Peer, transport: str
) -> None:
    flows, server = make_flows(), peer.server(transport)
    assert flows.contact(server, "alice") is None
    with pytest.raises(FlowDownError):
        flows.send(server, sip_request("OPTIONS"), events)
    flows.open(server, None)
    address = await events.wait("up")
    assert flows.contact(server, "a b") == f"sip:a%20b@{address}"
    assert (transport == "tcp") == str(address).endswith(";transport=tcp")
    request = sip_request("OPTIONS")
    request.headers.remove("Via")
    flows.send(server, request, events)
    assert await events.wait("response") == 200
    call = sip_request("INVITE", uri=f"sip:alice@{address}")
    call.headers.remove("Via")
    client = peer.endpoint.request(call, peer.flows[0])
    await events.wait("INVITE")
    transaction = events.requests[0]
    transaction.respond(transaction.request.respond(180))
    transaction.respond(transaction.request.respond(486))
    assert (await asyncio.wait_for(client.final(), 5)).code == 486
    transaction.respond(transaction.request.respond(200))


async def test_a_cancel_and_an_ack_come_through(make_flows: FlowsFactory, events: Events, peer: Peer) -> None:
    flows, server = make_flows(), peer.server("udp")
    flows.open(server, None)
    address = await events.wait("up")
    flows.send(server, _without_via(sip_request("OPTIONS")), events)
    await events.wait("response")
    call = _without_via(sip_request("INVITE", uri=f"sip:alice@{address}"))
    client = peer.endpoint.request(call, peer.flows[0])
    await events.wait("INVITE")
    transaction = events.requests[0]
    transaction.respond(transaction.request.respond(180))
    client.cancel()
    assert await events.wait("cancel") is transaction
    answer = transaction.request.respond(200)
    transaction.respond(answer)
    await asyncio.wait_for(client.final(), 5)
    ack = _without_via(sip_request("ACK", uri=f"sip:alice@{address}"))
    ack.headers.set("To", answer.to)
    peer.endpoint.acknowledge(ack, peer.flows[0])
    await events.wait("ACK")


async def test_a_lost_connection_is_made_again(make_flows: FlowsFactory, events: Events, peer: Peer) -> None:
    flows, server = make_flows(), peer.server("tcp")
    flows.open(server, None)
    await events.wait("up")
    flows.send(server, _without_via(sip_request("OPTIONS")), events)
    await events.wait("response")
    peer.flows[0].close()
    await events.wait("down")
    await events.wait("up", 2)
    assert flows.up == flows.wanted == 1


async def test_the_port_of_before_is_taken_again_where_it_is_free(
    make_flows: FlowsFactory, events: Events, peer: Peer
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        make_flows(local_host="127.0.0.1").open(peer.server("udp"), port)
        assert await events.wait("up") != f"127.0.0.1:{port}"
    make_flows(local_host="127.0.0.1").open(peer.server("udp"), port)
    assert await events.wait("up", 2) == f"127.0.0.1:{port}"


async def test_why_there_is_no_flow_is_said(make_flows: FlowsFactory, events: Events) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        closed = sock.getsockname()[1]
    make_flows().open(Server(Transport.TCP, "127.0.0.1", closed), None)
    assert "TCP" in str(await events.wait("failed"))


@pytest.mark.parametrize(("level", "messages", "everything"), [(0, False, False), (16, True, False), (32, True, True)])
async def test_trace_levels(
    make_flows: FlowsFactory, events: Events, peer: Peer, level: int, *, messages: bool, everything: bool
) -> None:
    stack = logging.getLogger("dialog_sip")
    before, server = stack.level, peer.server("udp")
    with structlog.testing.capture_logs() as lines:
        flows = make_flows(trace_level=level)
        flows.open(server, None)
        await events.wait("up")
        request = sip_request("MESSAGE")
        request.headers.remove("Via")
        request.headers.set("Authorization", 'Digest username="alice", realm="pbx", response="canary"')
        answered = Answered()
        flows.send(server, request, answered)
        await asyncio.wait_for(answered.done, 10)
    assert any(line["event"] == "sip" for line in lines) is messages
    assert "canary" not in str(lines)
    assert (stack.level == logging.DEBUG) is everything
    stack.setLevel(before)


class Answered:
    def __init__(self) -> None:
        self.done: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def received(self, response: Response) -> None:
        self.done.set_result(response)

    def failed(self, failure: Failure) -> None:
        self.done.set_result(failure)


async def test_an_address_of_ones_own_is_advertised(make_flows: FlowsFactory, events: Events, peer: Peer) -> None:
    flows = make_flows(advertised_host="2001:db8::1")
    flows.open(peer.server("udp"), None)
    await events.wait("up")
    contact = flows.contact(peer.server("udp"), "alice")
    assert contact is not None
    assert SipUri.parse(contact).address == "2001:db8::1"


async def test_an_unwanted_flow_stays_for_its_calls(
    make_flows: FlowsFactory, events: Events, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows, server = make_flows(), peer.server("udp")
    flows.open(server, None)
    await events.wait("up")
    flows.close(server)
    flows.open(server, None)
    assert flows.up == 1
    monkeypatch.setattr("dialog_registrar.adapters.sip.LINGER", 0.0)
    flows.close(server)
    await events.wait("closed")
    assert flows.up == flows.wanted == 0


def _without_via(request: Request) -> Request:
    request.headers.remove("Via")
    return request
