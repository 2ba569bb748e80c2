"""Websockets: how each end opens one (RFC 6455 section 4, RFC 7118); :mod:`~dialog_sip.aio.ws_flow` is what follows."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable
from typing import Final

from websockets.client import ClientProtocol
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from dialog_sip.aio.connection import Connection
from dialog_sip.aio.flow import Address, Flow, Listener, Receiver
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
from dialog_sip.aio.tls import TlsOptions, client_context, server_context, verify_web_host
from dialog_sip.aio.ws_flow import WsFlow
from dialog_sip.limits import MAX_MESSAGE
from dialog_sip.uri import SipUri

OPEN_WITHIN: Final = 10.0
"""Seconds that a listener gives a peer for its handshake."""
_PROTOCOLS: Final = [Subprotocol(SUBPROTOCOL)]

# At DEBUG the library logs frames, and so credentials: never let it.
_log = logging.getLogger(f"{__name__}.frames")
_log.setLevel(logging.WARNING)


class WsClientFlow(WsFlow):
    """The end that opened the websocket (RFC 6455 section 4.1, RFC 7118 section 4.1)."""

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

    def contact_uri(self, user: str | None, *, host: str = "", outbound: bool = False) -> SipUri:
        """Return the URI under which the peer reaches ``user`` over this websocket, and over it alone."""
        uri = SipUri.make(user, host or self.contact_host, transport="ws")
        return uri.with_params(ob=None) if outbound else uri

    def started(self) -> None:
        """Wait for :meth:`shake`: TLS names are looked at before anything is sent."""

    def shake(self) -> None:
        """Send the handshake request. Raises :class:`FlowError`."""
        self._client.send_request(request_of(self._client, self.handshake))
        self.flush()

    def handshake_taken(self, _event: object) -> None:
        """Take the server's answer."""
        error = self._client.handshake_exc
        if error is None and self._client.subprotocol is None:
            error = HandshakeError(f"no websocket: the server does not speak the subprotocol {SUBPROTOCOL}")
            self.goodbye(CloseCode.PROTOCOL_ERROR)
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
    """The end at a listener (RFC 6455 section 4.2, RFC 7118 section 4.1)."""

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
        self.flush_quietly()
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
    """A listening socket for websockets (RFC 6455 section 4.2)."""

    def make_flow(self) -> Connection:
        """Make the flow of a connection (called by asyncio)."""
        return WsServerFlow(self._receiver, self._name, self.admit, self._receiver.flow_opened)


async def open_ws(remote: Address, receiver: Receiver, local: Address | None = None, *, handshake: Handshake) -> Flow:
    """Open a websocket (RFC 7118 section 4.1).

    Raises :class:`HandshakeError` where the peer takes none, else :class:`FlowError`.
    """
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
    """Open a websocket over TLS (RFC 7118 section 4.1); the certificate is for the handshake's host or for ``domain``.

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
    """Listen for websockets (RFC 7118 section 4.1), with ``options`` over TLS. Raises :class:`FlowError`."""
    listener = WsListener(receiver, "ws" if options is None else "wss")
    context: ssl.SSLContext | None = None
    if options is not None:
        context = await asyncio.to_thread(server_context, options)
    await listener.start(local, context)
    return listener
