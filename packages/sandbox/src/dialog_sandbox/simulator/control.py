"""A page of JSON over HTTP/1.1, just as much of it as controlling a simulator takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

Page = Callable[[str, str, bytes], object]
"""Method, path and body to what is answered as JSON; raises :class:`WrongRequestError`."""

_WITHIN = 5.0
_LARGEST_BODY = 64 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class WrongRequestError(Exception):
    """A request that cannot be done, with its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Control:
    """Serves one page function."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    @classmethod
    async def open(cls, host: str, port: int, page: Page) -> Control:
        """Listen. Raises :class:`OSError` where the port is taken."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(_WITHIN):
                    await _serve(reader, writer, page)
            except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
                return
            finally:
                writer.close()

        return cls(await asyncio.start_server(serve, host, port))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Listen no more."""
        self._server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, page: Page) -> None:
    method, path, _ = (await reader.readline()).decode().split(" ", 2)
    length = 0
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            length = min(int(value), _LARGEST_BODY)
    body = await reader.readexactly(length)
    try:
        status, answer = 200, page(method, path, body)
    except WrongRequestError as error:
        status, answer = error.status, {"error": str(error)}
    text = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
    await writer.drain()
