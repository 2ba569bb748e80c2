"""The page over HTTP and its websocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from dialog_console.model.board import Message
from dialog_console.pages import Page, Pages

STATIC = Path(__file__).parent.parent / "web" / "static"

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
"""Websocket close codes (RFC 6455 section 7.4.1 and its registry)."""

HandlePage = Callable[[Page, str], Awaitable[None]]


def routes(pages: Pages, snapshot: Callable[[], Message], handle: HandlePage) -> list[BaseRoute]:
    """Return the routes of the page; ``handle`` takes each message of a page."""

    async def talk(socket: WebSocket) -> None:
        if not _same_origin(socket):
            await socket.close(POLICY_VIOLATION)
            return
        await socket.accept()
        page = pages.open(snapshot())
        try:
            await _run(socket, page, handle)
        finally:
            pages.close(page)

    return [WebSocketRoute("/ws", talk), Mount("/", StaticFiles(directory=STATIC, html=True))]


async def _run(socket: WebSocket, page: Page, handle: HandlePage) -> None:
    """Read and write until either side is done; whichever ends first ends the other."""
    reading = asyncio.create_task(_read(socket, page, handle), name="page-read")
    writing = asyncio.create_task(_write(socket, page), name="page-write")
    try:
        await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)


async def _read(socket: WebSocket, page: Page, handle: HandlePage) -> None:
    try:
        while True:
            await handle(page, await socket.receive_text())
    except WebSocketDisconnect:
        return


async def _write(socket: WebSocket, page: Page) -> None:
    try:
        while (message := await page.outgoing.get()) is not None:
            await socket.send_json(message)
        await socket.close(TRY_AGAIN_LATER)
    except WebSocketDisconnect:
        return


def _same_origin(socket: WebSocket) -> bool:
    """Tell whether our own page opened the socket: any other site could place calls as the user otherwise."""
    origin = socket.headers.get("origin")
    return origin is None or origin.partition("://")[2] == socket.headers.get("host")
