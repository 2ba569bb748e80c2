"""Owner of every task."""

from __future__ import annotations

import asyncio

import pytest
from dialog_runtime.supervise import PartFailedError, Supervisor


class Scripted:
    """A part that notes when it ends."""

    def __init__(self, name: str, ended: list[str], *, error: Exception | None = None, deaf: bool = False) -> None:
        self.name = name
        self.ended = ended
        self.error = error
        self.deaf = deaf
        self.go = asyncio.Event()

    async def run(self) -> None:
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.ended.append(self.name)

    def stop(self) -> None:
        if not self.deaf:
            self.go.set()


async def test_parts_stop_in_reverse_order() -> None:
    ended: list[str] = []
    supervisor = Supervisor()
    for name in ("a", "b", "c"):
        supervisor.start(name, Scripted(name, ended))
    await supervisor.stop(5)
    assert ended == ["c", "b", "a"]


async def test_a_part_that_fails_ends_the_service() -> None:
    supervisor = Supervisor()
    part = Scripted("a", [], error=RuntimeError("boom"))
    supervisor.start("reader", part)
    part.go.set()
    with pytest.raises(PartFailedError, match="reader failed") as caught:
        await asyncio.wait_for(supervisor.wait(), 5)
    assert isinstance(caught.value.__cause__, RuntimeError)
    await supervisor.stop(5)


async def test_a_part_that_ends_unasked_ends_the_service() -> None:
    supervisor = Supervisor()
    part = Scripted("a", [])
    supervisor.start("reader", part)
    part.go.set()
    with pytest.raises(PartFailedError, match="reader ended"):
        await asyncio.wait_for(supervisor.wait(), 5)


async def test_work_may_end_by_itself_but_not_fail() -> None:
    async def fine() -> None:
        return

    async def broken() -> None:
        raise ValueError

    supervisor = Supervisor()
    supervisor.spawn("fine", fine())
    supervisor.spawn("broken", broken())
    with pytest.raises(PartFailedError, match="broken failed"):
        await asyncio.wait_for(supervisor.wait(), 5)


async def test_a_deaf_part_is_cancelled_in_time() -> None:
    ended: list[str] = []
    supervisor = Supervisor()
    supervisor.start("first", Scripted("first", ended))
    supervisor.start("deaf", Scripted("deaf", ended, deaf=True))
    await asyncio.wait_for(supervisor.stop(0.05), 5)
    assert "deaf" not in ended


async def test_work_is_cancelled_at_the_stop() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    supervisor = Supervisor()
    supervisor.spawn("work", work())
    await asyncio.sleep(0)
    await supervisor.stop(5)
    assert cancelled.is_set()
