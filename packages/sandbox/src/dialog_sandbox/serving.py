"""Serving web pages beside other work: uvicorn until an event, with the signals left to the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the process has other things to end as well."""
        yield


async def serve_until(stopping: asyncio.Event, config: uvicorn.Config, listening: socket.socket) -> None:
    """Serve what ``config`` says on ``listening`` until ``stopping`` is set, then end as ``config`` says."""
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    told = asyncio.create_task(stopping.wait(), name="told to stop")
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    server.should_exit = True
    await serving
