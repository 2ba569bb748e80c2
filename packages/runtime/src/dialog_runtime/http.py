"""``/healthz``, ``/readyz`` and ``/metrics``: a server of three fixed pages.

No framework: the pages are for probes and scrapers, who ask for a few hundred bytes and go. Each connection carries
one request, of bounded size and time, and their number is bounded too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from dialog_runtime.health import Health
from dialog_runtime.metrics import CONTENT_TYPE, Metrics

log = structlog.get_logger(__name__)

_JSON = "application/json"
_MOST_CONNECTIONS = 64
_MOST_HEAD = 8192
_REQUEST_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = _JSON


Pages = Mapping[str, Callable[[], Page]]
"""Path -> what makes the answer."""


def service_pages(health: Health, metrics: Metrics) -> Pages:
    """Return the pages that every service has."""
    return {
        "/healthz": lambda: _healthz(health),
        "/readyz": lambda: _readyz(health),
        "/metrics": lambda: Page(HTTPStatus.OK, metrics.render(), CONTENT_TYPE),
    }


class PageServer:
    """Serves pages over HTTP/1.1; a part of the service."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self._host = host
        self._port = port
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self) -> tuple[str, int]:
        """Listen, and return the address. Raises :class:`OSError` where the port is taken."""
        self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=_MOST_HEAD)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def stop(self) -> None:
        """Close all connections and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until stopped."""
        if self._server is None:
            await self.open()
        await self._stopping.wait()
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(writer)
        try:
            async with asyncio.timeout(_REQUEST_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_wire(head, self._answer(head)))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("request given up")
        finally:
            self._connections.discard(writer)
            writer.close()

    def _answer(self, head: bytes) -> Page:
        parts = head.split(b"\r\n", 1)[0].decode("latin-1").split()
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _error(HTTPStatus.BAD_REQUEST)
        if parts[0] not in {"GET", "HEAD"}:
            return _error(HTTPStatus.METHOD_NOT_ALLOWED)
        page = self._pages.get(parts[1].split("?", 1)[0])
        return _error(HTTPStatus.NOT_FOUND) if page is None else page()


def _wire(head: bytes, page: Page) -> bytes:
    lines = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(("Allow: GET, HEAD",) if page.status is HTTPStatus.METHOD_NOT_ALLOWED else ()),
    )
    body = b"" if head.startswith(b"HEAD ") else page.body
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _error(status: HTTPStatus) -> Page:
    return Page(status, json.dumps({"error": status.phrase}).encode())


def _healthz(health: Health) -> Page:
    able, report = health.report()
    return Page(HTTPStatus.OK if able else HTTPStatus.SERVICE_UNAVAILABLE, json.dumps(report).encode())


def _readyz(health: Health) -> Page:
    status = HTTPStatus.OK if health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, json.dumps({"ready": health.is_ready}).encode())
