"""UDP and TCP of the simulator on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

Handle = Callable[[bytes, tuple[str, int]], bytes | None]
"""Takes a message and where it came from; returns the answer."""

DRAIN = 128
"""Datagrams that one wake-up reads."""
_RECEIVE_BUFFER = 16 * 1024 * 1024
_LARGEST = 65535
_LONGEST_HEAD = 64 * 1024
_SO_RCVBUFFORCE = 33
"""Linux: beyond the limit of net.core.rmem_max, for who may."""
_END = b"\r\n\r\n"


class Udp:
    """A bound socket, read by the event loop."""

    def __init__(self, host: str, port: int, handle: Handle) -> None:
        self._handle = handle
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        _enlarge(self._socket)
        self._socket.setblocking(False)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]
        self.unsent = 0
        """Answers for which the socket had no room."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Close the socket."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(DRAIN):
            try:
                data, source = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                continue  # the ICMP error of an earlier answer
            answer = self._handle(data, source)
            if answer is not None:
                self._send(answer, source)

    def _send(self, answer: bytes, source: tuple[str, int]) -> None:
        try:
            self._socket.sendto(answer, source)
        except OSError:
            self.unsent += 1


class TcpConnection(asyncio.Protocol):
    """One connection. ``closes`` tells, after each 200, whether it is to be closed."""

    def __init__(self, handle: Handle, closes: Callable[[], bool]) -> None:
        self._handle = handle
        self._closes = closes
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._source = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who it is."""
        # uvloop's transports are asyncio's in all but their class.
        self._transport = cast("asyncio.Transport", transport)
        self._source = transport.get_extra_info("peername")[:2]

    def data_received(self, data: bytes) -> None:
        """Take bytes; REGISTERs have no body, so that a message ends with its head."""
        self._rest += data
        while _END in self._rest and self._transport is not None:
            head, _, self._rest = self._rest.partition(_END)
            self._take(self._transport, head.lstrip(b"\r\n") + _END)
        if len(self._rest) > _LONGEST_HEAD and self._transport is not None:
            self._transport.abort()

    def _take(self, transport: asyncio.Transport, message: bytes) -> None:
        if message == _END:
            transport.write(b"\r\n")  # RFC 5626 section 4.4.1: a ping wants its pong
            return
        answer = self._handle(message, self._source)
        if answer is None:
            return
        transport.write(answer)
        if answer.startswith(b"SIP/2.0 200") and self._closes():
            transport.close()


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
