"""The console's web server: the page, beside the health and metrics pages that every service has, on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable

import uvicorn
from dialog_runtime.http import Pages
from dialog_sandbox.serving import serve_until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

GOODBYE_WITHIN = 2
"""Seconds that open pages have to close."""

MOST_MESSAGE = 256 * 1024
"""Bytes that a page may send at once: two session descriptions and a margin."""


class ConsoleHost:
    """A web server for :func:`dialog_runtime.service.run`; routes are added when the console is built."""

    def __init__(self) -> None:
        self._app = Starlette()
        self._address = ("127.0.0.1", 0)
        self._socket: socket.socket | None = None
        self._stopping = asyncio.Event()

    def at(self, host: str, port: int, pages: Pages) -> ConsoleHost:
        """Be the server of ``pages`` at this address."""
        self._address = (host, port)
        self.add(Route(path, _served(pages, path)) for path in pages)
        return self

    def add(self, routes: Iterable[BaseRoute]) -> None:
        """Serve ``routes`` too."""
        self._app.router.routes.extend(routes)

    async def open(self) -> tuple[str, int]:
        """Listen, and return the address. Raises :class:`OSError` where the port is taken."""
        self._socket = self._listener()
        host, port = self._socket.getsockname()[:2]
        return host, port

    def stop(self) -> None:
        """Close all connections and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped."""
        if self._socket is None:
            self._socket = self._listener()
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=MOST_MESSAGE,
            timeout_graceful_shutdown=GOODBYE_WITHIN,
        )
        await serve_until(self._stopping, config, self._socket)

    def _listener(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        return socket.create_server(self._address, family=family)


def _served(pages: Pages, path: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        page = pages[path]()
        return Response(page.body, page.status.value, media_type=page.content_type)

    return serve
