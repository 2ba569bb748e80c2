"""TCP: one flow a connection, framed by Content-Length, with back-pressure.

A peer that does not read what we write is not read from either, so its requests stop before our buffer grows; one
that lets even that buffer fill is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver, plain_address
from dialog_sip.framer import PING, PONG, Framer

WRITE_LIMIT = 1 << 20
"""Bytes that may wait for a peer to read them."""
UNACKED_MS = 20_000
"""Milliseconds after which data without a TCP acknowledgement means that the peer is gone."""
CLOSING = 2.0
"""Seconds that a close waits for data to go out."""
MAX_CONNECTIONS = 10_000
"""Connections that a listener holds at a time."""


class TcpFlow(Flow, asyncio.Protocol):
    """One connection. Its addresses are known from :meth:`connection_made` on."""

    def __init__(self, receiver: Receiver, on_made: Callable[[TcpFlow], bool] | None = None) -> None:
        super().__init__("tcp", ("", 0), ("", 0), receiver)
        self._framer = Framer()
        self._on_made = on_made
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.get_running_loop().create_future()

    def send(self, data: bytes) -> None:
        """Write one message to the connection."""
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            raise FlowError("the connection is closed")
        if transport.get_write_buffer_size() > WRITE_LIMIT:
            transport.abort()
            raise FlowError("the peer does not read")
        transport.write(data)

    def close(self) -> None:
        """Close once what was written is out."""
        if self._transport is not None and not self.closed:
            self._transport.close()
            self._ended()

    async def wait_closed(self) -> None:
        """Wait for the connection to end, and end it by force after a while."""
        try:
            async with asyncio.timeout(CLOSING):
                await asyncio.shield(self._gone)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (called by asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self.local = plain_address(transport.get_extra_info("sockname"))
        self.remote = plain_address(transport.get_extra_info("peername"))
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)
        if self._on_made is not None and not self._on_made(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes (called by asyncio)."""
        for frame in self._framer.feed(data):
            if self.closed:
                return
            if frame == PING:
                with contextlib.suppress(FlowError):
                    self.send(PONG)
            else:
                self._receiver.message_received(self, frame)
        if self._framer.error is not None:
            # The stream has no message boundaries any more (RFC 3261 section 18.3).
            self.close()

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read (called by asyncio)."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again (called by asyncio)."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone (called by asyncio)."""
        del exc  # whatever the reason, the flow is over
        if not self._gone.done():
            self._gone.set_result(None)
        self._ended()


class TcpListener(Listener):
    """A listening socket and the connections that came of it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._flows: set[TcpFlow] = set()
        self._server: asyncio.Server | None = None

    async def start(self, local: Address) -> None:
        """Bind and listen. Raises :class:`FlowError`."""
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._protocol, *local)
        except OSError as error:
            raise FlowError(f"cannot listen on TCP {local[0]}:{local[1]}: {error.strerror}") from error
        self.address = plain_address(self._server.sockets[0].getsockname())

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for flow in list(self._flows):
            flow.close()

    def _protocol(self) -> TcpFlow:
        return TcpFlow(self._receiver, self._made)

    def _made(self, flow: TcpFlow) -> bool:
        if len(self._flows) >= MAX_CONNECTIONS:
            return False
        self._flows.add(flow)
        flow.on_closed.append(lambda _: self._flows.discard(flow))
        self._receiver.flow_opened(flow)
        return True


async def open_tcp(remote: Address, receiver: Receiver, local: Address | None = None) -> Flow:
    """Connect to a peer. Raises :class:`FlowError`."""
    loop = asyncio.get_running_loop()
    try:
        _, flow = await loop.create_connection(lambda: TcpFlow(receiver), *remote, local_addr=local)
    except OSError as error:
        raise FlowError(f"no TCP to {remote[0]}:{remote[1]}: {error.strerror or error}") from error
    return flow


async def listen_tcp(local: Address, receiver: Receiver) -> Listener:
    """Listen for peers. Raises :class:`FlowError`."""
    listener = TcpListener(receiver)
    await listener.start(local)
    return listener
