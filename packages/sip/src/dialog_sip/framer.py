"""A byte stream to messages, by Content-Length (RFC 3261 section 18.3).

However the stream is cut into chunks, the same frames come out. Between messages stand the keepalives of RFC 5626
section 4.4.1: a double CRLF is a ping and comes out as :data:`PING`, a single CRLF is the pong and comes out as
nothing. Two pongs in a row look like a ping: who sends pings says so with :meth:`Framer.expect_pong`. A stream that
breaks the framing cannot be trusted again: :attr:`Framer.error` is set and the connection has to be closed.
"""

from __future__ import annotations

import re
from typing import Final

from dialog_sip.errors import Layer, RemoteProtocolError
from dialog_sip.limits import MAX_MESSAGE
from dialog_sip.status import PHRASES

PING: Final = b"\r\n\r\n"
"""The keepalive that asks for a :data:`PONG`; also the frame that says one came in."""
PONG: Final = b"\r\n"
"""The answer to a :data:`PING`."""

_HEAD_END: Final = b"\r\n\r\n"
_PINGS = re.compile(rb"(?:\r\n\r\n)++")
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(?:\r\n[ \t]+)?(\d{1,10})[ \t]*(?=\r\n)", re.IGNORECASE)


class Framer:
    """Cuts one incoming stream (RFC 3261 section 18.3). Holds at most ``max_message`` bytes and one chunk."""

    __slots__ = ("_buffer", "_expected", "_max_message", "_scanned", "_wanted", "error", "pongs")

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self._buffer = bytearray()
        self._max_message = max_message
        self._scanned = 0
        self._wanted = 0
        self._expected = 0
        self.pongs = 0
        """Pongs that answered a ping of ours."""
        self.error: RemoteProtocolError | None = None
        """What broke the framing; nothing comes out any more."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take a chunk and return the frames that it completes: whole messages, and :data:`PING`."""
        if self.error is not None:
            return []
        self._buffer += data
        frames: list[bytes] = []
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
                if frame == PING:
                    frames += self._more_pings()
        except RemoteProtocolError as error:
            self.error = error
            self._buffer.clear()
        return frames

    def expect_pong(self) -> None:
        """Take the next CRLF between messages for the answer to a ping of ours."""
        self._expected = 1

    def _next(self) -> bytes | None:
        if self._wanted:
            return self._take(self._wanted) if len(self._buffer) >= self._wanted else None
        if self._buffer.startswith(b"\r"):
            return self._keepalive()
        end = self._buffer.find(_HEAD_END, self._scanned)
        if end < 0:
            if len(self._buffer) > self._max_message:
                raise _broken("header section is too large", 513)
            self._scanned = max(0, len(self._buffer) - len(_HEAD_END) + 1)
            return None
        self._wanted = self._length(end)
        return self._take(self._wanted) if len(self._buffer) >= self._wanted else None

    def _keepalive(self) -> bytes | None:
        if self._expected and self._buffer.startswith(PONG):
            self._expected = 0
            self.pongs += 1
            self._take(len(PONG))
            return self._next()
        if self._buffer.startswith(PING):
            return self._take(len(PING))
        if len(self._buffer) < len(PING) and PING.startswith(self._buffer):
            return None
        if not self._buffer.startswith(PONG):
            raise _broken("a lone CR between messages")
        self._take(len(PONG))
        return self._next()

    def _more_pings(self) -> list[bytes]:
        """Take the pings right behind one, all at once: a flood of them costs next to nothing."""
        run = _PINGS.match(self._buffer)
        size = run.end() if run else 0
        del self._buffer[:size]
        return [PING] * (size // len(PING))

    def _length(self, end: int) -> int:
        head_size = end + len(_HEAD_END)
        found = _LENGTH.findall(self._buffer, 0, end + 2)
        if not found or (len(found) > 1 and len(set(map(int, found))) > 1):
            raise _broken("a message on a stream needs one Content-Length")
        size = head_size + int(found[0])
        if size > self._max_message:
            raise _broken("message is too large", 513)
        return size

    def _take(self, size: int) -> bytes:
        frame = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._scanned = self._wanted = 0
        return frame


def _broken(detail: str, status: int = 400) -> RemoteProtocolError:
    return RemoteProtocolError(detail, status=status, reason=PHRASES[status], layer=Layer.FRAMING)
