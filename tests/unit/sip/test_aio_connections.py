"""Connections that live on: keepalives, peers that say nothing or do not read, and how websockets end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from dialog_sip.aio.connection import Connection
from dialog_sip.aio.flow import Flow, FlowError, Listener
from dialog_sip.aio.handshake import Handshake
from dialog_sip.aio.tcp import open_tcp
from dialog_sip.aio.ws import listen_ws, open_ws
from dialog_sip.aio.ws_flow import WsFlow
from dialog_sip.framer import PING, PONG, Framer
from websockets.frames import CloseCode
from websockets.sync.client import connect as browse
from websockets.typing import Subprotocol

DEADLINE = 5.0
MESSAGE = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 4\r\n\r\nbody"


class Inbox:
    """A receiver that remembers, and lets a test wait."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.opened: list[Flow] = []
        self.closed: list[Flow] = []
        self._news = asyncio.Event()

    def message_received(self, flow: Flow, data: bytes) -> None:
        self.messages.append(data)
        self._news.set()

    def flow_opened(self, flow: Flow) -> None:
        self.opened.append(flow)
        self._news.set()

    def flow_failed(self, flow: Flow) -> None:
        self._news.set()

    def flow_closed(self, flow: Flow) -> None:
        self.closed.append(flow)
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not done():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


class Raw:
    """A server of TCP that does as the test says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self) -> None:
        self.server: asyncio.Server | None = None
        self._there = asyncio.Event()

    async def open(self, inbox: Inbox) -> Connection:
        self.server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        flow = await open_tcp(self.server.sockets[0].getsockname(), inbox)
        assert isinstance(flow, Connection)
        await asyncio.wait_for(self._there.wait(), DEADLINE)
        return flow

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._there.set()


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    made = Raw()
    yield made
    if made.server is not None:
        made.server.close()
        made.writer.transport.abort()


def waits_for_a_pong(flow: Connection) -> bool:
    return flow._pong_timer is not None


async def pinged(flow: Flow, raw: Raw) -> None:
    flow.ping()
    assert await asyncio.wait_for(raw.reader.readexactly(4), DEADLINE) == PING


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialog_sip.aio.connection.PONG_WITHIN", 0.05)
    monkeypatch.setattr("dialog_sip.aio.connection.DRAIN_WITHIN", 0.05)


@pytest.mark.usefixtures("impatient")
async def test_a_peer_that_stops_to_answer_pings_is_cut_off(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    await pinged(flow, raw)
    raw.writer.write(PONG + MESSAGE)
    await inbox.until(lambda: bool(inbox.messages))
    await pinged(flow, raw)
    await inbox.until(lambda: flow.closed)
    assert "keepalive" in flow.reason


@pytest.mark.usefixtures("impatient")
async def test_a_peer_that_never_answered_a_ping_need_not(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    await pinged(flow, raw)
    await pinged(flow, raw)
    raw.writer.write(MESSAGE)
    await inbox.until(lambda: bool(inbox.messages))
    assert not flow.closed


async def test_anything_that_comes_in_is_an_answer(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    await pinged(flow, raw)
    raw.writer.write(PONG + MESSAGE)
    await inbox.until(lambda: len(inbox.messages) == 1)
    await pinged(flow, raw)
    assert waits_for_a_pong(flow)
    raw.writer.write(MESSAGE)
    await inbox.until(lambda: len(inbox.messages) == 2)
    assert not waits_for_a_pong(flow)
    flow.close()


@pytest.mark.usefixtures("impatient")
async def test_a_peer_that_reads_nothing_is_cut_off_in_time(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while flow._drain_timer is None:
        flow.send(b"x" * 65536)
    await inbox.until(lambda: flow.closed)
    assert "has read nothing" in flow.reason
    with pytest.raises(FlowError, match="has read nothing"):
        flow.send(MESSAGE)


async def test_why_a_stream_was_closed_is_said(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    raw.writer.write(b"OPTIONS sip:h SIP/2.0\r\n\r\n")
    await inbox.until(lambda: flow.closed)
    assert "Content-Length" in flow.reason


async def test_that_the_peer_closed_is_said(inbox: Inbox, raw: Raw) -> None:
    flow = await raw.open(inbox)
    raw.writer.close()
    await inbox.until(lambda: flow.closed)
    assert flow.reason == "the peer closed the connection"


class Sockets:
    """A listener for websockets and a client."""

    def __init__(self, inbox: Inbox, listener: Listener) -> None:
        self.inbox, self.client, self.listener = inbox, Inbox(), listener
        self.url = f"ws://127.0.0.1:{listener.address[1]}/"

    async def open(self) -> tuple[WsFlow, WsFlow]:
        """Return both ends."""
        flow = await open_ws(self.listener.address, self.client, handshake=Handshake())
        await self.inbox.until(lambda: bool(self.inbox.opened))
        back = self.inbox.opened[-1]
        assert isinstance(flow, WsFlow)
        assert isinstance(back, WsFlow)
        return flow, back


@pytest.fixture
async def sockets(inbox: Inbox) -> AsyncIterator[Sockets]:
    listener = await listen_ws(("127.0.0.1", 0), inbox)
    yield Sockets(inbox, listener)
    listener.close()


async def test_a_ping_frame_is_answered(sockets: Sockets) -> None:
    flow, back = await sockets.open()
    for end, inbox in ((flow, sockets.inbox), (back, sockets.client)):
        end.ping()
        assert waits_for_a_pong(end)
        end.send(MESSAGE)
        await inbox.until(lambda inbox=inbox: bool(inbox.messages))  # type: ignore[misc]
    assert sockets.inbox.messages == sockets.client.messages == [MESSAGE]
    # The Pong came in before the message of the other end, which was sent later.
    assert not waits_for_a_pong(flow)
    flow.close()


@pytest.mark.usefixtures("impatient")
async def test_a_websocket_that_answers_no_ping_is_cut_off(sockets: Sockets) -> None:
    flow, back = await sockets.open()
    assert back._transport is not None
    back._transport.pause_reading()
    flow.ping()
    await sockets.client.until(lambda: flow.closed)
    assert "keepalive" in flow.reason


async def test_how_a_websocket_ends(sockets: Sockets) -> None:
    flow, back = await sockets.open()
    flow.close()
    flow.close()
    await sockets.inbox.until(lambda: back.closed)
    assert "1000" in back.reason
    for end in (flow, back):
        with pytest.raises(FlowError):
            end.send(MESSAGE)
        with pytest.raises(FlowError):
            end.ping()
    await flow.wait_closed()


async def test_a_browser_sends_text_in_pieces_and_keepalives_of_crlf(sockets: Sockets) -> None:
    def act() -> list[object]:
        with browse(sockets.url, subprotocols=[Subprotocol("sip")], open_timeout=DEADLINE) as socket:
            socket.send(PING.decode())
            got: list[object] = [socket.recv(DEADLINE)]
            socket.send(PONG.decode())
            socket.send(iter([MESSAGE[:9].decode(), "", MESSAGE[9:].decode()]))
            socket.send(MESSAGE)
            return [socket.subprotocol, *got]

    assert await asyncio.to_thread(act) == ["sip", "\r\n"]
    await sockets.inbox.until(lambda: len(sockets.inbox.messages) == 2)
    assert sockets.inbox.messages == [MESSAGE, MESSAGE]


async def test_a_message_that_is_too_large_ends_the_websocket(sockets: Sockets) -> None:
    def act() -> int:
        with browse(sockets.url, subprotocols=[Subprotocol("sip")], open_timeout=DEADLINE) as socket:
            socket.send(iter([b"x" * 40_000, b"x" * 40_000]))
            with pytest.raises(Exception, match="1009"):
                socket.recv(DEADLINE)
            return socket.close_code or 0

    assert await asyncio.to_thread(act) == CloseCode.MESSAGE_TOO_BIG
    await sockets.inbox.until(lambda: bool(sockets.inbox.closed))
    assert "websocket protocol" in sockets.inbox.closed[0].reason
    assert sockets.inbox.messages == []


async def test_frames_that_are_none(sockets: Sockets) -> None:
    flow, back = await sockets.open()
    flow.write(b"\xff\xff\xff")
    await sockets.inbox.until(lambda: back.closed)
    await sockets.client.until(lambda: flow.closed)
    assert "1002" in flow.reason


async def test_a_websocket_keeps_its_secrets(sockets: Sockets, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    flow, _ = await sockets.open()
    flow.send(MESSAGE)
    await sockets.inbox.until(lambda: bool(sockets.inbox.messages))
    assert "OPTIONS" not in caplog.text
    flow.close()


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pongs_are_told_from_pings_however_the_stream_is_cut(size: int) -> None:
    framer, frames = Framer(), []
    for stream in (PONG + MESSAGE, PONG, PONG + PING + MESSAGE + PONG + MESSAGE):
        framer.expect_pong()
        for start in range(0, len(stream), size):
            frames += framer.feed(stream[start : start + size])
    assert framer.pongs == 3
    assert frames == [MESSAGE, PING, MESSAGE, MESSAGE]
