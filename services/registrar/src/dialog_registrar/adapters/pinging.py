"""Asks a PBX now and then whether it is there, so that one which was started anew is noticed early.

Theory of operation. A PBX that restarts may lose every binding, and over UDP nothing tells. An OPTIONS that is not
answered within :data:`ANSWER_WITHIN`, nothing else being heard meanwhile, begins a silence; then one goes out each
:data:`AGAIN_AFTER`, and the first answer ends it. Only a PBX that answered before can fall silent: some never answer
OPTIONS. Any answer will do, 404 and 405 included. A connection needs no OPTIONS for this: it is lost with the PBX.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from dialog_sip.aio import Flow

ANSWER_WITHIN: Final = 4.0
AGAIN_AFTER: Final = 2.0
_SPREAD: Final = 0.2
"""Part of the interval by which pings to many PBXs are spread."""


class Pinger:
    """Pings one PBX each ``every`` seconds, on its flow of the moment.

    ``ask`` tells whether an OPTIONS on a flow was answered; ``lost`` is told that a silence began on a flow, ``back``
    that one of so many seconds ended.
    """

    def __init__(
        self,
        flow: Callable[[], Flow | None],
        ask: Callable[[Flow], Awaitable[bool]],
        lost: Callable[[Flow], object],
        back: Callable[[float], None],
        *,
        every: float,
    ) -> None:
        self._flow = flow
        self._ask = ask
        self._lost = lost
        self._back = back
        self._every = every
        self._spoke: Flow | None = None
        self._silent_since: float | None = None

    async def run(self) -> None:
        """Ping until cancelled."""
        while True:
            await asyncio.sleep(self._pause())
            flow = self._flow()
            if flow is None or flow.closed or flow is not self._spoke:
                # A new flow has its bindings made anyway.
                self._silent_since = None
            if flow is not None and not flow.closed:
                await self._ping(flow)

    def _pause(self) -> float:
        if self._silent_since is not None:
            return AGAIN_AFTER
        return self._every * (1 - _SPREAD * random.random())  # noqa: S311  jitter, no secret

    async def _ping(self, flow: Flow) -> None:
        loop = asyncio.get_running_loop()
        sent, heard = loop.time(), flow.heard
        if await self._answers(flow):
            if self._silent_since is not None:
                self._back(loop.time() - self._silent_since)
            self._spoke, self._silent_since = flow, None
        elif self._spoke is flow and flow.heard == heard and self._silent_since is None:
            self._silent_since = sent
            self._lost(flow)

    async def _answers(self, flow: Flow) -> bool:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await self._ask(flow)
        except TimeoutError:
            return False
