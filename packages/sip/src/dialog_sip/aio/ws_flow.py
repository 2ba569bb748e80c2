"""One websocket as a flow, whichever end it is: frames in, frames out (RFC 7118 section 4.2).

The frames are the business of ``websockets``' sans-I/O protocols. Messages go out as text where they are UTF-8, else
as binary, and come in as either. Keepalive is a Ping frame, which the peer must answer (RFC 6455 section 5.5.2). Who
cannot send Ping frames, such as a browser, sends a double CRLF and gets a CRLF (RFC 5626 section 4.4.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from dialog_sip.aio.connection import Connection
from dialog_sip.aio.flow import FlowError, Receiver
from dialog_sip.aio.tls import tls_error
from dialog_sip.framer import PING, PONG


class WsFlow(Connection):
    """One websocket (RFC 7118 section 4.2); see :class:`WsClientFlow` and :class:`WsServerFlow` for its two ends."""

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
        self.flush()

    def ping(self) -> None:
        """Send a Ping frame, and expect the Pong."""
        if self.closed or self._protocol.state is not OPEN:
            raise FlowError("the websocket is closed")
        self._protocol.send_ping(b"")
        self.flush()
        self.expect_pong()

    def close(self) -> None:
        """Say goodbye and close."""
        if not self.closed:
            self.goodbye(CloseCode.NORMAL_CLOSURE)
        super().close()

    def taken(self, data: bytes) -> None:
        """Take bytes of the handshake or of frames."""
        if self.closed:
            return
        self._protocol.receive_data(data)
        self.flush_quietly()
        self._take_events()
        error = self._protocol.parser_exc
        if error is not None and not self.closed:
            self.reason = f"the peer broke the websocket protocol: {error}"
            super().close()

    def eof_received(self) -> None:
        """Learn that the peer sends nothing more (called by asyncio); the connection closes."""
        if not self.closed:
            self._protocol.receive_eof()
            self.flush_quietly()
            self._take_events()

    def words_for(self, error: Exception) -> str:
        """Say why the connection was lost."""
        found = tls_error(error, f"{self.remote[0]}:{self.remote[1]}")
        return super().words_for(error) if found is None else str(found)

    def handshake_taken(self, _event: object) -> None:
        """Take the other end's part of the handshake."""
        raise NotImplementedError

    def goodbye(self, code: CloseCode) -> None:
        """Begin the closing handshake, where there is somebody to hear it."""
        with contextlib.suppress(InvalidState, FlowError):
            self._protocol.send_close(code)
            self.flush()

    def flush(self) -> None:
        """Write what the protocol has to send. Raises :class:`FlowError`."""
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)

    def flush_quietly(self) -> None:
        """Write what it has to send, where that can still be."""
        with contextlib.suppress(FlowError):
            self.flush()

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


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
