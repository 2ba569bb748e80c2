"""Which bridge holds which call, folded from the compacted topic ``call.directory``.

Of two entries of a call that with the higher epoch is right; of two with the same epoch that which stands first in the
topic, which every reader sees in the same order. So two bridges that claim a call at once agree on who has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dialog_schemas.instances import CallHeld


class Directory:
    """``changed`` is told of every entry that becomes the right one."""

    def __init__(self, changed: Callable[[CallHeld], None] | None = None) -> None:
        self._changed = changed
        self._entries: dict[str, CallHeld] = {}
        self._by_sip_call_id: dict[str, str] = {}
        self._waiters: dict[str, set[asyncio.Future[CallHeld]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, call_id: str) -> CallHeld | None:
        """Return the right entry of a call."""
        return self._entries.get(call_id)

    def by_sip_call_id(self, sip_call_id: str) -> CallHeld | None:
        """Return the right entry of the call with this SIP dialog."""
        return self._entries.get(self._by_sip_call_id.get(sip_call_id, ""))

    def entries(self) -> list[CallHeld]:
        """Return every right entry as of now."""
        return list(self._entries.values())

    def apply(self, call_id: str, entry: CallHeld | None) -> None:
        """Take the next record of the topic; None is a tombstone."""
        if entry is None:
            self._drop(call_id)
        elif self._is_right(entry):
            self._drop(call_id)
            self._entries[call_id] = entry
            if entry.sip_dialog is not None:
                self._by_sip_call_id[entry.sip_dialog.call_id] = call_id
            self._tell(entry)

    async def appears(self, call_id: str, within: float, *, epoch: int = 1) -> CallHeld | None:
        """Wait at most ``within`` seconds for an entry of the call with at least this epoch."""
        try:
            async with asyncio.timeout(within):
                while True:
                    entry = self._entries.get(call_id)
                    if entry is not None and entry.epoch >= epoch:
                        return entry
                    await self._next(call_id)
        except TimeoutError:
            return None

    def _is_right(self, entry: CallHeld) -> bool:
        known = self._entries.get(entry.call_id)
        if known is None or entry.epoch > known.epoch:
            return True
        return entry.epoch == known.epoch and entry.instance == known.instance

    def _drop(self, call_id: str) -> None:
        known = self._entries.pop(call_id, None)
        if known is not None and known.sip_dialog is not None:
            self._by_sip_call_id.pop(known.sip_dialog.call_id, None)

    def _tell(self, entry: CallHeld) -> None:
        for waiter in self._waiters.pop(entry.call_id, ()):
            if not waiter.done():
                waiter.set_result(entry)
        if self._changed is not None:
            self._changed(entry)

    async def _next(self, call_id: str) -> None:
        waiter: asyncio.Future[CallHeld] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(call_id, set()).add(waiter)
        try:
            await waiter
        finally:
            waiting = self._waiters.get(call_id)
            if waiting is not None:
                waiting.discard(waiter)
                if not waiting:
                    del self._waiters[call_id]
