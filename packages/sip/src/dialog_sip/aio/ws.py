"""Websockets: one flow a connection, one SIP message a websocket message (RFC 7118).

The frames are the business of ``websockets``' sans-I/O protocols. Messages go out as text where they are UTF-8, else
as binary, and come in as either. Keepalive is a Ping frame, which the peer must answer (RFC 6455 section 5.5.2). Who
cannot send Ping frames, such as a browser, sends a double CRLF and gets a CRLF (RFC 5626 section 4.4.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import Callable
from typing import Final

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from dialog_sip.aio.connection import Connection
from dialog_sip.aio.flow import Address, Flow, FlowError, Listener, Receiver
from dialog_sip.aio.handshake import (
    SUBPROTOCOL,
    Handshake,
    HandshakeError,
    answer_to,
    check_handshake,
    handshake_error,
    handshake_of,
    request_of,
)
from dialog_sip.aio.tcp import StreamListener, open_stream, verify_peer
from dialog_sip.aio.tls import TlsOptions, client_context, server_context, tls_error, verify_web_host
from dialog_sip.framer import PING, PONG
from dialog_sip.limits import MAX_MESSAGE
from dialog_sip.uri import SipUri

OPEN_WITHIN: Final = 10.0
"""Seconds that a listener gives a peer for its handshake."""
_PROTOCOLS: Final = [Subprotocol(SUBPROTOCOL)]

# At DEBUG the library logs frames, and so credentials: never let it.
_log = logging.getLogger(f"{__name__}.frames")
_log.setLevel(logging.WARNING)


class WsFlow(Connection):
    """One websocket; see :class:`WsClientFlow` and :class:`WsServerFlow` for its two ends."""

    def __init__(
        self,
        protocol: ClientProtocol | ServerProtocol,
        transport: str,
        receiver: Receiver,
        admit: Callable[[WsFlow], bool] | None = None,
        on_ready: Callable[[WsFlow], object] | None = None,
    ) -> None:
        super().__init__(transport, receiver, admit, on_ready)
        self._protocol = protocol
        self._parts = bytearray()
        self._answers_pings = True

    def send(self, data: bytes) -> None:
        """Send one message."""
        if self.closed or self._protocol.state is not OPEN:
            raise FlowError(f"the websocket is closed{': ' if self.reason else ''}{self.reason}")
        if _is_text(data):
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._flush()

    def ping(self) -> None:
        """Send a Ping frame, and expect the Pong."""
        if self.closed or self._protocol.state is not OPEN:
            raise FlowError("the websocket is closed")
        self._protocol.send_ping(b"")
        self._flush()
        self.expect_pong()

    def close(self) -> None:
        """Say goodbye and close."""
        if not self.closed:
            self._goodbye(CloseCode.NORMAL_CLOSURE)
        super().close()

    def taken(self, data: bytes) -> None:
        """Take bytes of the handshake or of frames."""
        if self.closed:
            return
        self._protocol.receive_data(data)
        self._flush_quietly()
        self._take_events()
        error = self._protocol.parser_exc
        if error is not None and not self.closed:
            self.reason = f"the peer broke the websocket protocol: {error}"
            super().close()

    def eof_received(self) -> None:
        """Learn that the peer sends nothing more (called by asyncio); the connection closes."""
        if not self.closed:
            self._protocol.receive_eof()
            self._flush_quietly()
            self._take_events()

    def words_for(self, error: Exception) -> str:
        """Say why the connection was lost."""
        found = tls_error(error, f"{self.remote[0]}:{self.remote[1]}")
        return super().words_for(error) if found is None else str(found)

    def handshake_taken(self, _event: object) -> None:
        """Take the other end's part of the handshake."""
        raise NotImplementedError

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if self.closed:
                return
            if isinstance(event, Frame):
                self._take_frame(event)
            else:
                self.handshake_taken(event)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            # Our part of the closing handshake is in the buffer already.
            close = self._protocol.close_rcvd
            self.reason = f"the peer closed the websocket: {close}" if close is not None else ""
            super().close()
        elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
            # Together they are no larger than MAX_MESSAGE: the library counts.
            self._parts += frame.data
            if frame.fin:
                data = bytes(self._parts)
                self._parts.clear()
                self._take_message(data)

    def _take_message(self, data: bytes) -> None:
        if data == PING:
            with contextlib.suppress(FlowError):
                self.send(PONG)
        elif data.strip(PONG):
            self._receiver.message_received(self, data)

    def _goodbye(self, code: CloseCode) -> None:
        with contextlib.suppress(InvalidState, FlowError):
            self._protocol.send_close(code)
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)

    def _flush_quietly(self) -> None:
        with contextlib.suppress(FlowError):
            self._flush()


class WsClientFlow(WsFlow):
    """The end that opened the websocket."""

    def __init__(self, receiver: Receiver, transport: str, remote: Address, handshake: Handshake) -> None:
        uri = WebSocketURI(transport == "wss", remote[0], remote[1], handshake.location, "", None, None)
        self._client = ClientProtocol(uri, subprotocols=_PROTOCOLS, max_size=MAX_MESSAGE, logger=_log)
        super().__init__(self._client, transport, receiver)
        self.handshake = handshake
        """What was asked for."""
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done once SIP may travel; else a :class:`HandshakeError`."""
        self.contact_host = f"{secrets.token_hex(6)}.invalid"
        """Host of our Contacts: nobody can connect to us (RFC 7118 section 5)."""

    def contact_uri(self, user: str, *, outbound: bool = False) -> SipUri:
        """Return the URI under which the peer reaches ``user`` over this websocket, and over it alone."""
        uri = SipUri.make(user, self.contact_host, transport="ws")
        return uri.with_params(ob=None) if outbound else uri

    def started(self) -> None:
        """Wait for :meth:`shake`: TLS names are looked at before anything is sent."""

    def shake(self) -> None:
        """Send the handshake request. Raises :class:`FlowError`."""
        self._client.send_request(request_of(self._client, self.handshake))
        self._flush()

    def handshake_taken(self, _event: object) -> None:
        """Take the server's answer."""
        error = self._client.handshake_exc
        if error is None and self._client.subprotocol is None:
            error = HandshakeError(f"no websocket: the server does not speak the subprotocol {SUBPROTOCOL}")
            self._goodbye(CloseCode.PROTOCOL_ERROR)
        if error is None:
            self.opened.set_result(None)
            self.ready()
        else:
            self._refused(error)

    def taken(self, data: bytes) -> None:
        """Take bytes; what is no HTTP gives an error, but no event."""
        super().taken(data)
        error = self._client.handshake_exc
        if error is not None:
            self._refused(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone, maybe before the websocket was open (called by asyncio)."""
        super().connection_lost(exc)
        self._refused(HandshakeError(f"no websocket: {self.reason or 'the peer closed the connection'}"))

    def _refused(self, error: Exception) -> None:
        if self.opened.done():
            return
        words = error if isinstance(error, HandshakeError) else handshake_error(error, self.handshake)
        self.opened.set_exception(words)
        # Marks it as seen, should nobody wait any more.
        self.opened.exception()
        self.cut(str(words))


class WsServerFlow(WsFlow):
    """The end at a listener."""

    def __init__(
        self,
        receiver: Receiver,
        transport: str,
        admit: Callable[[WsFlow], bool],
        on_ready: Callable[[WsFlow], object],
    ) -> None:
        self._server = ServerProtocol(subprotocols=_PROTOCOLS, state=CONNECTING, max_size=MAX_MESSAGE, logger=_log)
        super().__init__(self._server, transport, receiver, admit, on_ready)
        self.handshake = Handshake()
        """What the client asked for; known when the flow is."""
        self._patience: asyncio.TimerHandle | None = None

    def started(self) -> None:
        """Give the client a while for its handshake."""
        self._patience = self._loop.call_later(OPEN_WITHIN, self.cut, "the client opened no websocket in time")

    def handshake_taken(self, _event: object) -> None:
        """Answer the client's request."""
        if not isinstance(_event, Request):
            return
        self.handshake = handshake_of(_event)
        self._server.send_response(answer_to(self._server, _event))
        self._flush_quietly()
        if self._server.state is OPEN:
            self._stop(self._patience)
            self.ready()
        else:
            self.reason = f"the client's handshake is not that of a SIP client: {self._server.handshake_exc}"
            self.close()

    def taken(self, data: bytes) -> None:
        """Take bytes; of what is no HTTP there is no event."""
        super().taken(data)
        if self._server.handshake_exc is not None and not self.closed:
            self.reason = f"the client does not speak HTTP: {self._server.handshake_exc}"
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone (called by asyncio)."""
        self._stop(self._patience)
        super().connection_lost(exc)


class WsListener(StreamListener):
    """A listening socket for websockets."""

    def make_flow(self) -> Connection:
        """Make the flow of a connection (called by asyncio)."""
        return WsServerFlow(self._receiver, self._name, self.admit, self._receiver.flow_opened)


async def open_ws(remote: Address, receiver: Receiver, local: Address | None = None, *, handshake: Handshake) -> Flow:
    """Open a websocket. Raises :class:`HandshakeError` where the peer takes none, else :class:`FlowError`."""
    check_handshake(handshake)
    flow = await open_stream(lambda: WsClientFlow(receiver, "ws", remote, handshake), remote, local)
    return await _shaken(flow)


async def open_wss(
    remote: Address,
    receiver: Receiver,
    local: Address | None = None,
    *,
    handshake: Handshake,
    options: TlsOptions,
    domain: str,
) -> Flow:
    """Open a websocket over TLS; the certificate is for the handshake's host or for ``domain``.

    Raises :class:`TlsError`, :class:`HandshakeError` or :class:`FlowError`.
    """
    check_handshake(handshake)
    context = await asyncio.to_thread(client_context, options)
    hosts = [handshake.host_name, domain] if handshake.host else [domain]
    flow = await open_stream(lambda: WsClientFlow(receiver, "wss", remote, handshake), remote, local, context, hosts[0])
    verify_peer(flow, lambda connection: verify_web_host(connection, hosts))
    return await _shaken(flow)


async def _shaken(flow: WsClientFlow) -> Flow:
    try:
        flow.shake()
        await flow.opened
    except BaseException:
        # Also where who waits gives up: the connection has no owner then.
        flow.cut("the websocket was not opened")
        raise
    return flow


async def listen_ws(local: Address, receiver: Receiver, options: TlsOptions | None = None) -> Listener:
    """Listen for websockets, with ``options`` over TLS. Raises :class:`FlowError`."""
    listener = WsListener(receiver, "ws" if options is None else "wss")
    context: ssl.SSLContext | None = None
    if options is not None:
        context = await asyncio.to_thread(server_context, options)
    await listener.start(local, context)
    return listener


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
