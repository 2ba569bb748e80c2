"""What TCP, TLS and websockets have in common: one connection, its back-pressure, and whether the peer is alive.

A peer that does not read what we write is not read from either, so its requests stop before our buffer grows; one
that lets even that buffer fill, or does not drain it for a while, is cut off with the reason.

A ping has to be answered within :data:`PONG_WITHIN` seconds (RFC 5626 section 4.4.1), by whatever the peer sends. Many
peers never answer pings of CRLF, and RFC 5626 does not ask it of who does not support it: so a missing pong counts only
where the peer has answered before, or must answer as with websockets.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from dialog_sip.aio.flow import Flow, FlowError, Receiver, plain_address

WRITE_LIMIT: Final = 1 << 20
"""Bytes that may wait for a peer to read them."""
DRAIN_WITHIN: Final = 30.0
"""Seconds that a peer may leave more than a little of what we wrote unread."""
UNACKED_MS: Final = 20_000
"""Milliseconds after which data without a TCP acknowledgement means that the peer is gone."""
CLOSING: Final = 2.0
"""Seconds that a close waits for data to go out."""
PONG_WITHIN: Final = 10.0
"""Seconds within which something has to come in after a ping (RFC 5626 section 4.4.1)."""


class Connection(Flow, asyncio.Protocol, abc.ABC):
    """One connection (RFC 3261 section 18). Its addresses are known from :meth:`connection_made` on.

    ``admit`` may refuse it at once; ``on_ready`` hears when SIP may travel on it.
    """

    def __init__(
        self,
        transport: str,
        receiver: Receiver,
        admit: Callable[[Any], bool] | None = None,
        on_ready: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(transport, ("", 0), ("", 0), receiver)
        self._admit = admit
        self._on_ready = on_ready
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._gone = self._loop.create_future()
        self._answers_pings = False
        self._pong_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None

    @property
    def tls_connection(self) -> ssl.SSLObject:
        """The TLS connection. Raises :class:`FlowError` where it is gone already."""
        found = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        if found is None:
            raise FlowError(self.reason or "the connection is closed")
        return cast("ssl.SSLObject", found)

    @abc.abstractmethod
    def started(self) -> None:
        """Begin, now that there is a connection; call :meth:`ready` when SIP may travel."""

    @abc.abstractmethod
    def taken(self, data: bytes) -> None:
        """Take bytes that came in."""

    def ready(self) -> None:
        """Say that SIP may travel from now on."""
        if self._on_ready is not None:
            self._on_ready(self)

    def write(self, data: bytes) -> None:
        """Write bytes. Raises :class:`FlowError` where the connection is closed, or the peer does not read."""
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            raise FlowError(f"the connection is closed{': ' if self.reason else ''}{self.reason}")
        if transport.get_write_buffer_size() > WRITE_LIMIT:
            self.cut("the peer does not read what it is sent")
            raise FlowError(self.reason)
        transport.write(data)

    def close(self) -> None:
        """Close once what was written is out."""
        if self._transport is not None and not self.closed:
            self._transport.close()
            self._ended()

    def cut(self, reason: str) -> None:
        """Close at once; what was written may be lost."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait for the connection to end, and end it by force after a while."""
        try:
            async with asyncio.timeout(CLOSING):
                await asyncio.shield(self._gone)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()

    def expect_pong(self) -> None:
        """Have the connection cut unless something comes in soon, after a ping that the peer has to answer."""
        if self._answers_pings and self._pong_timer is None:
            self._pong_timer = self._loop.call_later(PONG_WITHIN, self._no_pong)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection (called by asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self.local = plain_address(transport.get_extra_info("sockname"))
        self.remote = plain_address(transport.get_extra_info("peername"))
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_MS)
        if self._admit is not None and not self._admit(self):
            self._transport.abort()
        else:
            self.started()

    def data_received(self, data: bytes) -> None:
        """Take bytes (called by asyncio)."""
        self.heard += 1
        if self._pong_timer is not None:
            self._pong_timer.cancel()
            self._pong_timer = None
        self.taken(data)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read (called by asyncio)."""
        if self._transport is not None:
            self._transport.pause_reading()
            self._drain_timer = self._loop.call_later(
                DRAIN_WITHIN, self.cut, f"the peer has read nothing for {DRAIN_WITHIN:g} s"
            )

    def resume_writing(self) -> None:
        """Read again (called by asyncio)."""
        self._stop(self._drain_timer)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the connection is gone (called by asyncio)."""
        if not self.closed and not self.reason:
            self.reason = "the peer closed the connection" if exc is None else self.words_for(exc)
        self._stop(self._drain_timer)
        self._stop(self._pong_timer)
        if not self._gone.done():
            self._gone.set_result(None)
        self._ended()

    def words_for(self, error: Exception) -> str:
        """Say why the connection was lost."""
        return getattr(error, "strerror", None) or str(error) or type(error).__name__

    def _no_pong(self) -> None:
        self._pong_timer = None
        self.cut(f"the peer answered no keepalive within {PONG_WITHIN:g} s")

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
