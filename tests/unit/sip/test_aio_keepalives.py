"""Outbound's keepalives on real sockets: who answers stays, who is silent or sees another address is dead."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from dialog_sip.aio import Endpoint, Flow
from dialog_sip.aio.keepalives import MOVED, SILENT
from dialog_sip.framer import PING, PONG
from dialog_sip.registration import keepalive
from dialog_sip.stun import binding_answer, binding_request, read_binding

DEADLINE = 10.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "_CONNECTION", (0.01, 0.02))
    monkeypatch.setattr(keepalive, "_DATAGRAM", (0.01, 0.02))


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "_WAITS", {True: (0.05,), False: (0.01, 0.02, 0.02)})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint(lambda request: request.respond(200), keepalive=None)
    yield made
    await made.close()


class Peer:
    """A UDP socket that does what the test says."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()

    async def receive(self) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.get_running_loop().sock_recv(self._socket, 2048)

    async def send(self, data: bytes, to: tuple[str, int]) -> None:
        await asyncio.get_running_loop().sock_sendto(self._socket, data, to)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer()
    yield made
    made.close()


def closing(flow: Flow) -> asyncio.Future[str]:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    flow.on_closed.append(lambda gone: told.set_result(gone.reason))
    return told


async def pinged(peer: Peer) -> bytes:
    """Return the transaction of the next Binding request."""
    found = read_binding(await peer.receive())
    assert found is not None
    assert found.is_request
    return found.transaction


@pytest.mark.usefixtures("_impatient")
async def test_a_silent_peer_over_udp_is_dead_after_repeated_pings(endpoint: Endpoint, peer: Peer) -> None:
    flow = await endpoint.connect("udp", *peer.address)
    told = closing(flow)
    endpoint.keep_alive(flow)
    assert await asyncio.wait_for(told, DEADLINE) == SILENT
    transactions = [await pinged(peer) for _ in range(3)]
    assert len(set(transactions)) == 1


async def test_a_peer_that_sees_us_under_another_address_is_left(endpoint: Endpoint, peer: Peer) -> None:
    flow = await endpoint.connect("udp", *peer.address)
    told = closing(flow)
    endpoint.keep_alive(flow)
    first = await pinged(peer)
    await peer.send(binding_answer(first, flow.local), flow.local)

    async def answer_from_now_on() -> None:
        while True:
            transaction = await pinged(peer)
            # Answers to another question and what is no STUN move nothing.
            await peer.send(binding_answer(bytes(12), ("192.0.2.9", 9)), flow.local)
            await peer.send(b"\1\1\0\0", flow.local)
            mapped = flow.local if transaction == first else ("192.0.2.9", 9)
            await peer.send(binding_answer(transaction, mapped), flow.local)

    answering = asyncio.create_task(answer_from_now_on())
    try:
        assert await asyncio.wait_for(told, DEADLINE) == MOVED
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def test_an_endpoint_answers_binding_requests_with_the_address_it_sees(endpoint: Endpoint, peer: Peer) -> None:
    listener = await endpoint.listen("udp", "127.0.0.1")
    await peer.send(binding_request(b"abcdefghijkl"), listener.address)
    found = read_binding(await peer.receive())
    assert found is not None
    assert (found.transaction, found.mapped) == (b"abcdefghijkl", peer.address)
    assert endpoint.malformed == 0


async def test_two_endpoints_keep_a_flow(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    take, answers, enough = endpoint._keepalives.take, [], asyncio.Event()

    def count(flow: Flow, data: bytes) -> bool:
        answers.append(data)
        if len(answers) == 3:
            enough.set()
        return take(flow, data)

    monkeypatch.setattr(endpoint._keepalives, "take", count)
    server = Endpoint(lambda request: request.respond(200), keepalive=None)
    try:
        listener = await server.listen("udp", "127.0.0.1")
        flow = await endpoint.connect("udp", *listener.address)
        endpoint.keep_alive(flow)
        await asyncio.wait_for(enough.wait(), DEADLINE)
        assert not flow.closed
    finally:
        await server.close()


async def test_over_tcp_the_pong_is_due_from_the_first_ping_on(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Timers run out when the test says so.
    monkeypatch.setattr(keepalive, "_CONNECTION", (3600.0, 3600.0))
    loop = asyncio.get_running_loop()
    peers: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *peer: peers.put_nowait(peer), "127.0.0.1", 0)
    async with asyncio.timeout(DEADLINE):
        flow = await endpoint.connect("tcp", *server.sockets[0].getsockname())
        reader, writer = await peers.get()
        told, ponged = closing(flow), asyncio.Event()
        taken = flow.taken  # type: ignore[attr-defined]
        monkeypatch.setattr(flow, "taken", lambda data: (taken(data), ponged.set()))
        endpoint.keep_alive(flow)
        kept = endpoint._keepalives._kept[flow]

        def run_out() -> None:
            kept._keepalive.timer = loop.time()
            kept._on_timer()

        run_out()
        assert await reader.readexactly(4) == PING
        writer.write(PONG)
        await ponged.wait()
        run_out()
        assert not flow.closed
        run_out()
        assert await reader.readexactly(4) == PING
        run_out()
        assert await told == SILENT
        writer.close()
        server.close()


async def test_a_kept_flow_is_not_pinged_plainly_and_takes_a_new_flow_timer(endpoint: Endpoint, peer: Peer) -> None:
    flow = await endpoint.connect("udp", *peer.address)
    endpoint.keep_alive(flow, flow_timer=3600)
    endpoint._keepalives.ping_all()
    endpoint.keep_alive(flow, flow_timer=None)
    assert await pinged(peer)


async def test_a_closed_flow_is_kept_no_more(endpoint: Endpoint, peer: Peer) -> None:
    flow = await endpoint.connect("udp", *peer.address)
    endpoint.keep_alive(flow)
    flow.close()
    endpoint.keep_alive(flow)
    assert not endpoint._keepalives._kept


async def test_contacts_of_outbound(endpoint: Endpoint, peer: Peer) -> None:
    flow = await endpoint.connect("udp", *peer.address)
    assert str(flow.contact_uri("bob", outbound=True)) == f"sip:bob@127.0.0.1:{flow.local[1]};ob"
    assert "ob" not in flow.contact_uri("bob").params
