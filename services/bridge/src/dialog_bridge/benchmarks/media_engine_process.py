"""The engine in a process of its own, driven by lines of JSON: what :mod:`media_forwarding` measures.

A line in, a line out: ``{"do": "offer", "call": 1, "sdp": "..."}`` gives ``{"sdp": "..."}``, ``{"do": "answer",
...}`` the same, ``{"do": "count"}`` gives ``{"cpu": seconds, "packets": n, "lost": n}``. Ends at the end of its
input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

from dialog_bridge.adapters.media import MediaSettings, RelayEngine
from dialog_bridge.adapters.media.session import RelaySession


class _Ignore:
    def candidate_found(self, candidate: str, mid: str | None) -> None: ...
    def connected(self) -> None: ...
    def silent(self) -> None: ...

    def failed(self, reason: str) -> None: ...
    def digit_received(self, digit: str, duration_ms: int) -> None: ...


class _Calls:
    def __init__(self, settings: MediaSettings) -> None:
        self._engine = RelayEngine(settings)
        self._sessions: dict[int, RelaySession] = {}

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "offer":
                session = await self._engine.open(str(command["call"]), "127.0.0.1", _Ignore())
                self._sessions[command["call"]] = session
                return {"sdp": (await session.take_web_offer(command["sdp"])).decode()}
            case "answer":
                return {"sdp": await self._sessions[command["call"]].take_sip_answer(command["sdp"].encode())}
            case _:
                return self._count()

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def _count(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        qualities = [session.quality() for session in self._sessions.values()]
        return {
            "cpu": used.ru_utime + used.ru_stime,
            "packets": sum(quality.sip_packets + quality.web_packets for quality in qualities),
            "lost": sum(quality.sip_lost + quality.web_lost for quality in qualities),
        }


async def main(port_min: int, port_max: int) -> None:
    """Serve standard input."""
    calls = _Calls(MediaSettings(port_min=port_min, port_max=port_max, ice_loopback=True))
    reader = asyncio.StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        sys.stdout.write(json.dumps(await calls.do(json.loads(line))) + "\n")
        sys.stdout.flush()
    await calls.close()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
