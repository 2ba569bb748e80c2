"""TCP and TLS: one flow a connection, framed by Content-Length (RFC 3261 section 18.3)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import TypeVar

from dialog_sip.aio.connection import Connection
from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver, plain_address
from dialog_sip.aio.tls import (
    HANDSHAKE_WITHIN,
    TlsOptions,
    client_context,
    closed_error,
    server_context,
    tls_error,
    verify_name,
)
from dialog_sip.framer import PING, PONG, Framer

MAX_CONNECTIONS = 10_000
"""Connections that a listener holds at a time."""

C = TypeVar("C", bound=Connection)


class TcpFlow(Connection):
    """One connection over TCP or TLS (RFC 3261 section 18.3)."""

    def __init__(
        self,
        receiver: Receiver,
        admit: Callable[[TcpFlow], bool] | None = None,
        on_ready: Callable[[TcpFlow], object] | None = None,
        *,
        transport: str = "tcp",
    ) -> None:
        super().__init__(transport, receiver, admit, on_ready)
        self._framer = Framer()

    def send(self, data: bytes) -> None:
        """Write one message to the connection."""
        self.write(data)

    def ping(self) -> None:
        """Send a double CRLF, and expect a CRLF where the peer has answered one before."""
        self.write(PING)
        self._framer.expect_pong()
        self.expect_pong()

    def started(self) -> None:
        """SIP may travel at once."""
        self.ready()

    def taken(self, data: bytes) -> None:
        """Cut the stream into messages."""
        for frame in self._framer.feed(data):
            if self.closed:
                return
            if frame == PING:
                with contextlib.suppress(FlowError):
                    self.write(PONG)
            else:
                self._receiver.message_received(self, frame)
        self._answers_pings = self._framer.pongs > 0
        if self._framer.error is not None:
            # The stream has no message boundaries any more (RFC 3261 section 18.3).
            self.reason = f"the peer broke the framing: {self._framer.error}"
            self.close()

    def words_for(self, error: Exception) -> str:
        """Say why the connection was lost."""
        found = tls_error(error, f"{self.remote[0]}:{self.remote[1]}")
        return super().words_for(error) if found is None else str(found)


class StreamListener(Listener):
    """A listening socket and the connections that came of it (RFC 3261 section 18.2.1)."""

    def __init__(self, receiver: Receiver, transport: str) -> None:
        self._receiver = receiver
        self._name = transport
        self._flows: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, local: Address, context: ssl.SSLContext | None = None) -> None:
        """Bind and listen. Raises :class:`FlowError`."""
        within = None if context is None else HANDSHAKE_WITHIN
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self.make_flow, *local, ssl=context, ssl_handshake_timeout=within)
        except OSError as error:
            name = self._name.upper()
            raise FlowError(f"cannot listen on {name} {local[0]}:{local[1]}: {error.strerror}") from error
        self.address = plain_address(self._server.sockets[0].getsockname())

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for flow in list(self._flows):
            flow.close()

    def make_flow(self) -> Connection:
        """Make the flow of a connection (called by asyncio)."""
        return TcpFlow(self._receiver, self.admit, self._receiver.flow_opened, transport=self._name)

    def admit(self, flow: Connection) -> bool:
        """Count a connection; False where there are too many."""
        if len(self._flows) >= MAX_CONNECTIONS:
            return False
        self._flows.add(flow)
        flow.on_closed.append(lambda _: self._flows.discard(flow))
        return True


async def open_tcp(remote: Address, receiver: Receiver, local: Address | None = None) -> Flow:
    """Connect to a peer (RFC 3261 section 18.1.1). Raises :class:`FlowError`."""
    return await open_stream(lambda: TcpFlow(receiver), remote, local)


async def open_tls(
    remote: Address, receiver: Receiver, local: Address | None = None, *, options: TlsOptions, domain: str
) -> Flow:
    """Connect to a peer of a SIP domain over TLS (RFC 3261 section 26.2.1, RFC 5922 section 7.3).

    Raises :class:`TlsError` where its certificate is not trusted or not the domain's, else :class:`FlowError`.
    """
    context = await asyncio.to_thread(client_context, options)
    flow = await open_stream(lambda: TcpFlow(receiver, transport="tls"), remote, local, context, domain)
    verify_peer(flow, lambda connection: verify_name(connection, domain))
    return flow


async def open_stream(
    make: Callable[[], C],
    remote: Address,
    local: Address | None,
    context: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> C:
    """Connect; with a context over TLS (RFC 3261 sections 18.1.1 and 26.2.1). Raises :class:`FlowError`."""
    loop = asyncio.get_running_loop()
    name, peer = "TCP" if context is None else "TLS", f"{remote[0]}:{remote[1]}"
    try:
        _, flow = await loop.create_connection(
            make, *remote, local_addr=local, ssl=context, server_hostname=server_name
        )
    except (ConnectionResetError, ConnectionAbortedError) as error:
        if context is None:
            raise FlowError(f"no TCP to {peer}: {error.strerror or 'the connection was reset'}") from error
        raise closed_error(peer) from error
    except OSError as error:
        raise tls_error(error, peer) or FlowError(f"no {name} to {peer}: {error.strerror or error}") from error
    return flow


def verify_peer(flow: Connection, verify: Callable[[ssl.SSLObject], None]) -> None:
    """Have the certificate of a new connection looked at (RFC 5922 section 7.3).

    Cut the connection where it is not good.
    """
    try:
        verify(flow.tls_connection)
    except FlowError as error:
        flow.cut(str(error))
        raise


async def listen_tcp(local: Address, receiver: Receiver) -> Listener:
    """Listen for peers (RFC 3261 section 18.2.1). Raises :class:`FlowError`."""
    listener = StreamListener(receiver, "tcp")
    await listener.start(local)
    return listener


async def listen_tls(local: Address, receiver: Receiver, options: TlsOptions) -> Listener:
    """Listen for peers over TLS (RFC 3261 section 26.2.1). Raises :class:`TlsError` and :class:`FlowError`."""
    listener = StreamListener(receiver, "tls")
    await listener.start(local, await asyncio.to_thread(server_context, options))
    return listener
