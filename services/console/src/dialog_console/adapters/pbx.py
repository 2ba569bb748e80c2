"""The sandbox PBX's own HTTP page: make one of its phones call."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.parse
import urllib.request

from dialog_console.ports import PbxUnavailableError

WITHIN = 5.0
"""Seconds to wait for the PBX to say that it dials."""


class SandboxPbx:
    """Reached at ``base``, such as ``http://127.0.0.1:8081``."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")

    async def call(self, user: str) -> None:
        """Let the tone phone call ``user``. Raises :class:`PbxUnavailableError`."""
        query = urllib.parse.urlencode({"from": "tone", "to": user})
        await asyncio.to_thread(self._post, f"{self._base}/call?{query}")

    @staticmethod
    def _post(url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise PbxUnavailableError(f"{url} is not an HTTP address")
        try:
            request = urllib.request.Request(url, method="POST")  # noqa: S310 - the scheme is checked above
            urllib.request.urlopen(request, timeout=WITHIN).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(500).decode(errors="replace").strip()
            raise PbxUnavailableError(f"the PBX says {error.code}: {words}") from error
        except OSError as error:
            raise PbxUnavailableError(f"no sandbox PBX at {url.partition('/call')[0]}") from error
