"""The sandbox PBX as the console and the demo see it: its HTTP pages."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from dialog_console.ports import PbxUnavailableError

WITHIN = 5.0
"""Seconds that the PBX has to answer."""

_MOST_WORDS = 500
"""Bytes of a refusal that are told."""

LOOK_EVERY = 0.05
"""Seconds between two looks at a page that nobody tells us of."""


class PbxPages:
    """Reached at ``base``, such as ``http://127.0.0.1:8081``. Every method raises :class:`PbxUnavailableError`."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")

    async def call(self, user: str) -> None:
        """Let the tone phone call ``user``."""
        await self._ask(f"/call?{urllib.parse.urlencode({'from': 'tone', 'to': user})}", "POST")

    async def bound(self, user: str, *, wanted: bool, within: float = 10.0) -> None:
        """Wait until ``user`` has a binding, or none. Raises :class:`TimeoutError`."""
        await self._until("/bindings", lambda page: (user in page) is wanted, within)

    async def dial(self, phone: str, to: str, hertz: float) -> str:
        """Let a phone call ``to`` and play a tone; return the call's name."""
        query = urllib.parse.urlencode({"from": phone, "to": to, "hertz": hertz})
        return str((await self._ask(f"/call?{query}", "POST"))["id"])

    async def hears(self, name: str, hertz: float, *, within: float = 10.0) -> Any:  # noqa: ANN401 - JSON
        """Wait until the phone of call ``name`` hears a tone, and return the report. Raises :class:`TimeoutError`."""
        return await self._until(f"/calls/{name}", lambda page: heard(page, hertz), within)

    async def over(self, name: str, *, within: float = 10.0) -> Any:  # noqa: ANN401 - JSON
        """Wait until call ``name`` is over, and return the report. Raises :class:`TimeoutError`."""
        return await self._until(f"/calls/{name}", lambda page: page["state"] == "ended", within)

    async def hang_up(self, name: str) -> None:
        """Let the phone end call ``name``."""
        await self._ask(f"/calls/{name}", "DELETE")

    async def _until(self, path: str, good: Callable[[Any], bool], within: float) -> Any:  # noqa: ANN401 - JSON
        page: Any = None
        try:
            async with asyncio.timeout(within):
                while not good(page := await self._ask(path)):  # noqa: ASYNC110 - a page tells nobody
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            raise TimeoutError(f"the PBX still says {json.dumps(page)} after {within:g} s") from None
        return page

    async def _ask(self, path: str, method: str = "GET") -> Any:  # noqa: ANN401 - JSON
        return await asyncio.to_thread(self._blocking, path, method)

    def _blocking(self, path: str, method: str) -> Any:  # noqa: ANN401 - JSON
        if not self._base.startswith(("http://", "https://")):
            raise PbxUnavailableError(f"{self._base} is not an HTTP address")
        request = urllib.request.Request(self._base + path, method=method)  # noqa: S310 - the scheme is checked above
        try:
            with urllib.request.urlopen(request, timeout=WITHIN) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(_MOST_WORDS).decode(errors="replace").strip()
            raise PbxUnavailableError(f"the PBX says {error.code} to {method} {path}: {words}") from error
        except (OSError, ValueError) as error:
            raise PbxUnavailableError(f"no sandbox PBX at {self._base}: {error}") from error


def heard(report: dict[str, Any], hertz: float) -> bool:
    """Tell whether a report says that the tone was heard: within 2 % and louder than -40 dBFS."""
    frequency = report["heard_hz"]
    return frequency is not None and abs(frequency - hertz) < hertz * 0.02 and report["heard_dbfs"] > -40
