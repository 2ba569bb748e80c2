"""Flows and listeners over UDP and TCP, IPv4 and IPv6, on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from dialog_sip.aio.flow import Flow, FlowError, Listener
from dialog_sip.aio.tcp import MAX_CONNECTIONS, StreamListener, TcpFlow, listen_tcp, open_tcp
from dialog_sip.aio.udp import MAX_PEERS, UdpListener, listen_udp, open_udp
from dialog_sip.framer import PING, PONG

DEADLINE = 5.0
MESSAGE = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 4\r\n\r\nbody"
OPEN = {"udp": open_udp, "tcp": open_tcp}
LISTEN = {"udp": listen_udp, "tcp": listen_tcp}
WAYS = [(transport, host) for transport in ("udp", "tcp") for host in ("127.0.0.1", "::1")]


class Inbox:
    """A receiver that remembers, and lets a test wait."""

    def __init__(self) -> None:
        self.messages: list[tuple[Flow, bytes]] = []
        self.opened: list[Flow] = []
        self.failed: list[Flow] = []
        self.closed: list[Flow] = []
        self._news = asyncio.Event()

    def message_received(self, flow: Flow, data: bytes) -> None:
        self.messages.append((flow, data))
        self._news.set()

    def flow_opened(self, flow: Flow) -> None:
        self.opened.append(flow)
        self._news.set()

    def flow_failed(self, flow: Flow) -> None:
        self.failed.append(flow)
        self._news.set()

    def flow_closed(self, flow: Flow) -> None:
        self.closed.append(flow)
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not done():
                self._news.clear()
                await self._news.wait()


class Ways:
    """Two ends of a flow each."""

    def __init__(self) -> None:
        self.server, self.client = Inbox(), Inbox()
        self.listeners: list[Listener] = []
        self.flows: list[Flow] = []

    async def pair(self, transport: str, host: str = "127.0.0.1") -> tuple[Listener, Flow]:
        listener = await LISTEN[transport]((host, 0), self.server)
        self.listeners.append(listener)
        flow = await OPEN[transport](listener.address, self.client)
        self.flows.append(flow)
        return listener, flow


def send_all(flow: Flow, messages: list[bytes]) -> None:
    for message in messages:
        flow.send(message)


@pytest.fixture
async def ways() -> AsyncIterator[Ways]:
    made = Ways()
    yield made
    for flow in made.flows:
        flow.close()
    for listener in made.listeners:
        listener.close()
    for flow in made.flows:
        await flow.wait_closed()


@pytest.mark.parametrize(("transport", "host"), WAYS)
async def test_messages_go_both_ways(ways: Ways, transport: str, host: str) -> None:
    listener, flow = await ways.pair(transport, host)
    flow.send(MESSAGE)
    await ways.server.until(lambda: bool(ways.server.messages))
    back, data = ways.server.messages[0]
    assert data == MESSAGE
    assert (back.remote, back.local) == (flow.local, flow.remote)
    assert flow.remote == listener.address
    assert (flow.transport, flow.reliable) == (transport, transport == "tcp")
    assert ways.server.opened == [back]
    back.send(MESSAGE * 1)
    await ways.client.until(lambda: bool(ways.client.messages))
    assert ways.client.messages == [(flow, MESSAGE)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_burst_arrives_in_order(ways: Ways, transport: str) -> None:
    _, flow = await ways.pair(transport)
    wanted = [MESSAGE.replace(b"body", f"{number:04}".encode()) for number in range(150)]
    for message in wanted:
        flow.send(message)
    await ways.server.until(lambda: len(ways.server.messages) == len(wanted))
    assert [data for _, data in ways.server.messages] == wanted
    assert len(ways.server.opened) == 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_closed_flow_says_so_once_and_sends_nothing(ways: Ways, transport: str) -> None:
    _, flow = await ways.pair(transport)
    heard: list[Flow] = []
    flow.on_closed.append(heard.append)
    flow.close()
    flow.close()
    assert flow.closed
    assert heard == ways.client.closed == [flow]
    assert repr(flow).endswith("closed>")
    with pytest.raises(FlowError):
        flow.send(MESSAGE)


async def test_a_connection_that_the_peer_ends_is_closed(ways: Ways) -> None:
    _, flow = await ways.pair("tcp")
    await ways.server.until(lambda: bool(ways.server.opened))
    ways.server.opened[0].close()
    await ways.client.until(lambda: bool(ways.client.closed))
    assert flow.closed


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_listener_takes_its_flows_with_it(ways: Ways, transport: str) -> None:
    listener, flow = await ways.pair(transport)
    flow.send(MESSAGE)
    await ways.server.until(lambda: bool(ways.server.messages))
    listener.close()
    listener.close()
    assert ways.server.closed == ways.server.opened


async def test_nobody_listens_over_udp(ways: Ways) -> None:
    listener, flow = await ways.pair("udp")
    listener.close()
    flow.send(MESSAGE)
    await ways.client.until(lambda: bool(ways.client.failed))
    assert not flow.closed


async def test_nobody_listens_over_tcp(ways: Ways) -> None:
    listener, _ = await ways.pair("tcp")
    listener.close()
    with pytest.raises(FlowError, match="no TCP to"):
        await open_tcp(listener.address, ways.client)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_name_that_nobody_knows(ways: Ways, transport: str) -> None:
    with pytest.raises(FlowError):
        await OPEN[transport](("name.invalid", 5060), ways.client)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_address_that_is_taken(ways: Ways, transport: str) -> None:
    listener, _ = await ways.pair(transport)
    with pytest.raises(FlowError):
        await LISTEN[transport](listener.address, ways.server)


async def test_a_datagram_that_is_too_large_is_an_error_of_the_flow(ways: Ways) -> None:
    _, flow = await ways.pair("udp")
    with pytest.raises(FlowError):
        flow.send(b"x" * 70000)


async def test_udp_from_an_address_of_ones_own(ways: Ways) -> None:
    listener, _ = await ways.pair("udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()
    flow = await open_udp(listener.address, ways.client, free)
    ways.flows.append(flow)
    assert flow.local == free


async def test_a_wildcard_listener_knows_its_address_towards_each_peer(ways: Ways) -> None:
    listener = await listen_udp(("0.0.0.0", 0), ways.server)
    ways.listeners.append(listener)
    flow = await open_udp(("127.0.0.1", listener.address[1]), ways.client)
    ways.flows.append(flow)
    flow.send(MESSAGE)
    await ways.server.until(lambda: bool(ways.server.messages))
    assert ways.server.opened[0].local == ("127.0.0.1", listener.address[1])


async def test_another_port_of_the_same_peer(ways: Ways) -> None:
    listener, flow = await ways.pair("udp")
    assert isinstance(listener, UdpListener)
    back = listener.flow_to(flow.local)
    other = back.towards_port(40000)
    assert other.remote == (flow.local[0], 40000)
    assert back.towards_port(flow.local[1]) is back
    assert flow.towards_port(40000) is flow


async def test_peers_of_a_listener_are_bounded(ways: Ways) -> None:
    listener, _ = await ways.pair("udp")
    assert isinstance(listener, UdpListener)
    first = listener.flow_to(("127.0.0.2", 1))
    for number in range(MAX_PEERS):
        listener.flow_to(("127.0.0.3", number % 60000 + 1))
        listener.flow_to(("127.0.0.4", number % 60000 + 1))
    assert len(listener._flows) == MAX_PEERS
    assert listener.flow_to(first.remote) is not first
    first.close()
    assert listener.flow_to(("127.0.0.2", 1)).remote == first.remote


async def test_connections_of_a_listener_are_bounded(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_CONNECTIONS > 1
    monkeypatch.setattr("dialog_sip.aio.tcp.MAX_CONNECTIONS", 1)
    listener, first = await ways.pair("tcp")
    await ways.server.until(lambda: bool(ways.server.opened))
    second = await open_tcp(listener.address, ways.client)
    await ways.client.until(lambda: second in ways.client.closed)
    assert not first.closed
    assert isinstance(listener, StreamListener)


async def test_a_ping_is_answered_with_a_pong(ways: Ways) -> None:
    listener, _ = await ways.pair("tcp")
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(PING)
        assert await reader.readexactly(2) == PONG
        writer.close()
        await writer.wait_closed()
    assert ways.server.messages == []


async def test_a_message_in_pieces(ways: Ways) -> None:
    listener, _ = await ways.pair("tcp")
    async with asyncio.timeout(DEADLINE):
        _, writer = await asyncio.open_connection(*listener.address)
        for piece in (MESSAGE[:10], MESSAGE[10:-2], MESSAGE[-2:] + MESSAGE):
            writer.write(piece)
            await writer.drain()
        await ways.server.until(lambda: len(ways.server.messages) == 2)
        writer.close()
        await writer.wait_closed()
    assert [data for _, data in ways.server.messages] == [MESSAGE, MESSAGE]


async def test_a_stream_that_breaks_the_framing_is_closed_after_what_was_good(ways: Ways) -> None:
    _, flow = await ways.pair("tcp")
    flow.send(MESSAGE + b"OPTIONS sip:h SIP/2.0\r\n\r\n" + MESSAGE)
    await ways.client.until(lambda: flow.closed)
    assert [data for _, data in ways.server.messages] == [MESSAGE]


async def test_a_peer_that_does_not_read_is_not_read_from_and_then_cut_off(ways: Ways) -> None:
    listener, _ = await ways.pair("tcp")
    async with asyncio.timeout(DEADLINE):
        _, writer = await asyncio.open_connection(*listener.address, limit=1)
        await ways.server.until(lambda: len(ways.server.opened) == 2)
        flow = ways.server.opened[1]
        assert isinstance(flow, TcpFlow)
        chunk = b"x" * 65536
        while flow._transport is not None and flow._transport.is_reading():
            flow.send(chunk)
        # From here on nothing is read from this peer, and little more is kept for it.
        with pytest.raises(FlowError, match="does not read"):
            send_all(flow, [chunk] * 100)
        await ways.server.until(lambda: flow.closed)
        writer.transport.abort()


async def test_a_peer_that_reads_again_is_read_from_again(ways: Ways) -> None:
    _, flow = await ways.pair("tcp")
    assert isinstance(flow, TcpFlow)
    assert flow._transport is not None
    flow.pause_writing()
    assert not flow._transport.is_reading()
    flow.resume_writing()
    assert flow._transport.is_reading()


@pytest.mark.parametrize(
    ("transport", "expected"), [("udp", "sip:7@127.0.0.1:{}"), ("tcp", "sip:7@127.0.0.1:{};transport=tcp")]
)
async def test_the_contact_of_a_flow(ways: Ways, transport: str, expected: str) -> None:
    _, flow = await ways.pair(transport)
    assert str(flow.contact_uri("7")) == expected.format(flow.local[1])
    behind_nat = expected.replace("127.0.0.1", "192.0.2.1").format(flow.local[1])
    assert str(flow.contact_uri("7", host="192.0.2.1")) == behind_nat
    assert str(flow.contact_uri(None, host="192.0.2.1")) == behind_nat.replace("7@", "")
