"""One Python service of the stack as something that can be started, stopped and killed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.process import Child
from dialog_sandbox.server import OneChild
from dialog_sandbox.stack.parts import Part

_POLL = 0.05
_ANSWER = 2.0
"""Seconds that one answer to the readiness question may take."""


class Service(OneChild):
    """The process of one :class:`Part`. Timeouts are in seconds."""

    def __init__(self, part: Part, log: Path, *, start_timeout: float = 60.0, stop_timeout: float = 2.5) -> None:
        super().__init__(log, stop_timeout)
        self.part = part
        self._start_timeout = start_timeout

    @property
    def returncode(self) -> int | None:
        """Exit code of the process that ran last."""
        return self._child.returncode() if self._child is not None else None

    async def start_async(self) -> None:
        """Start it and wait until it is ready. Raises :class:`SandboxError` with the last line that it printed."""
        self._child = Child.spawn(self.part.argv, log=self.log, env=os.environ | dict(self.part.env))
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline and self.pid is not None:
            if await http_status(self.part.ready) == 200:
                return
            await asyncio.sleep(_POLL)
        late = self.pid is not None
        code = self._child.kill() if late else self._child.returncode()
        how = f"was not ready within {self._start_timeout:g} s" if late else f"ended with exit code {code}"
        raise SandboxError(f"{self.part.name} {how}: {plain(self._child.last_line())} (see {self.log})")


def plain(line: str) -> str:
    """Return what a line of a log says: of a JSON object the event and its error, of anything else all."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    return ": ".join(str(entry[key]) for key in ("event", "error") if key in entry)


async def http_status(url: str, within: float = _ANSWER) -> int | None:
    """Return the status code of a GET on a plain HTTP ``url``, None where there is no answer ``within`` seconds."""
    where = urlsplit(url)
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(where.hostname, where.port)
            try:
                request = f"GET {where.path or '/'} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                words = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
