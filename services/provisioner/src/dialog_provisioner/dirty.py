"""What changed in the table and has not been looked at yet; bounded, because it can always say *everything*."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

from dialog_runtime.table.rows import Address

REMEMBERED_AT_MOST = 2_000
"""Addresses kept apart. Above that, comparing the whole table is cheaper than reading so many rows one by one."""


class Dirty:
    """Collects addresses; starts with everything."""

    def __init__(self) -> None:
        self._addresses: set[Address] = set()
        self._everything = True
        self._something = asyncio.Event()
        self._something.set()

    def mark(self, address: Address) -> None:
        """Say that rows with this address changed."""
        self._addresses.add(address)
        if len(self._addresses) > REMEMBERED_AT_MOST:
            self.mark_everything()
        self._something.set()

    def mark_everything(self) -> None:
        """Say that any row may have changed."""
        self._addresses.clear()
        self._everything = True
        self._something.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something is marked. Returns False where nothing was for ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return False
        return True

    def take_named(self) -> AbstractSet[Address]:
        """Return the addresses that are marked and forget them; everything stays marked where it was."""
        addresses, self._addresses = self._addresses, set()
        return addresses

    def take(self) -> AbstractSet[Address] | None:
        """Return what is marked, None for everything, and forget it."""
        addresses, everything = self._addresses, self._everything
        self._addresses, self._everything = set(), False
        self._something.clear()
        return None if everything else addresses
