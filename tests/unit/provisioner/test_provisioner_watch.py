"""The watch with a table, a topic and a lead in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import pytest
from dialog_provisioner import watch as watch_module
from dialog_provisioner.dirty import REMEMBERED_AT_MOST, Dirty
from dialog_provisioner.model.diff import Change
from dialog_provisioner.ports import Fingerprint, LeadershipLostError, TableUnavailableError, TopicUnavailableError
from dialog_provisioner.status import Status, WatchState
from dialog_provisioner.watch import Pace, Watch
from dialog_runtime.clock import SystemClock
from dialog_runtime.table.check import Checked
from dialog_runtime.table.rows import Address, Head, Row


class FakeRows:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.triggers = True
        self.away = 0
        self.prepared = 0
        self.looks = 0
        self.tidied = 0
        self.replaced = False
        self.read: list[Collection[Address]] = []

    async def prepare(self) -> bool:
        if self.away:
            self.away -= 1
            raise TableUnavailableError("PostgreSQL is away")
        self.prepared += 1
        self.replaced = False
        return self.triggers

    async def in_place(self) -> bool:
        self.looks += 1
        return not self.replaced

    async def forget_removed(self) -> None:
        self.tidied += 1

    async def fingerprint(self) -> Fingerprint:
        return Fingerprint(len(self.rows), sum(int(row.revision) for row in self.rows))

    async def heads(self) -> AsyncIterator[Sequence[Head]]:
        for row in list(self.rows):
            yield [Head(row.address, row.revision)]

    async def of(self, addresses: Collection[Address]) -> Sequence[Row]:
        self.read.append(addresses)
        return [row for row in self.rows if row.address in addresses]


class FakeTopic:
    def __init__(self) -> None:
        self.published: dict[str, Checked] = {}
        self.said: list[str] = []
        self.refuses = 0
        self.changed = asyncio.Event()

    async def ready(self) -> None:
        return

    async def publish(self, changes: Sequence[Change]) -> None:
        if self.refuses and changes:
            self.refuses -= 1
            raise TopicUnavailableError("Kafka is away")
        for key, event in changes:
            self.said.append(key)
            if event is None:
                del self.published[key]
            else:
                self.published[key] = event
        self.changed.set()

    async def until(self, *aors: str) -> None:
        async with asyncio.timeout(5):
            while set(self.published) != set(aors):
                self.changed.clear()
                await self.changed.wait()


class FakeLead:
    """Leads at once; ``lose`` takes the lead away."""

    def __init__(self) -> None:
        self.terms = 0
        self._lost = asyncio.Event()

    def lose(self) -> None:
        self._lost.set()

    async def lead(self, work: Callable[[], Awaitable[None]], waiting: Callable[[], None]) -> None:
        waiting()
        self.terms += 1
        self._lost.clear()
        working = asyncio.ensure_future(work())
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({working, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            lost.cancel()
            await asyncio.wait({working, lost})
        raise LeadershipLostError("another leads")


class Stage:
    def __init__(self, pace: Pace) -> None:
        self.rows, self.topic, self.lead = FakeRows(), FakeTopic(), FakeLead()
        self.dirty, self.status = Dirty(), Status()
        self.watch = Watch(self.rows, self.topic, self.lead, self.dirty, pace, self.status, SystemClock())

    def put(self, user: str, revision: int = 1) -> None:
        self.rows.rows = [row for row in self.rows.rows if row.sip_user != user]
        self.rows.rows.append(Row(user, "pbx", str(revision)))


@asynccontextmanager
async def running(with_triggers: float = 60, without: float = 0.01) -> AsyncIterator[Stage]:
    stage = Stage(Pace(with_triggers, without))
    task = asyncio.create_task(stage.watch.run())
    try:
        yield stage
    finally:
        stage.watch.stop()
        async with asyncio.timeout(5):
            await task


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "BACKOFF", (0.0,))


async def test_the_leader_publishes_the_table_and_then_what_is_marked() -> None:
    async with running() as stage:
        stage.put("1")
        await stage.topic.until("1@pbx")
        stage.put("2")
        stage.dirty.mark(Address("2", "pbx"))
        await stage.topic.until("1@pbx", "2@pbx")
        assert list(stage.rows.read[-1]) == [Address("2", "pbx")]
        stage.rows.rows.clear()
        stage.dirty.mark_everything()
        await stage.topic.until()
        assert stage.topic.said[:2] == ["1@pbx", "2@pbx"]
        assert sorted(stage.topic.said[2:]) == ["1@pbx", "2@pbx"]
        assert stage.status.watch is WatchState.TRIGGERED


async def test_without_triggers_the_fingerprint_tells() -> None:
    stage = Stage(Pace(60, 0.01))
    stage.rows.triggers = False
    task = asyncio.create_task(stage.watch.run())
    stage.put("1")
    await stage.topic.until("1@pbx")
    stage.put("2")
    await stage.topic.until("1@pbx", "2@pbx")
    assert stage.status.watch is WatchState.POLLING
    stage.watch.stop()
    await task


async def test_a_table_that_was_replaced_is_prepared_and_compared_anew() -> None:
    async with running() as stage:
        stage.put("1")
        await stage.topic.until("1@pbx")
        stage.put("2")
        stage.rows.replaced = True
        await stage.topic.until("1@pbx", "2@pbx")
        assert stage.rows.prepared == 2


async def test_what_fails_is_tried_again_and_nothing_is_published_twice() -> None:
    stage = Stage(Pace(60, 60))
    stage.rows.away, stage.topic.refuses = 2, 2
    stage.put("1")
    task = asyncio.create_task(stage.watch.run())
    await stage.topic.until("1@pbx")
    assert stage.topic.said == ["1@pbx"]
    assert stage.lead.terms == 1
    stage.watch.stop()
    await task


async def test_after_a_lost_lead_everything_is_compared_anew() -> None:
    async with running() as stage:
        stage.put("1")
        await stage.topic.until("1@pbx")
        stage.put("2")
        stage.lead.lose()
        await stage.topic.until("1@pbx", "2@pbx")
        assert stage.lead.terms == 2
        assert stage.topic.said == ["1@pbx", "2@pbx"]


async def test_marks_are_bounded() -> None:
    dirty = Dirty()
    assert dirty.take() is None
    for number in range(REMEMBERED_AT_MOST + 1):
        dirty.mark(Address(str(number), "pbx"))
    assert dirty.take() is None
    assert dirty.take() == set()


async def test_a_wait_for_marks_ends_with_a_mark_or_in_time() -> None:
    dirty = Dirty()
    dirty.take()
    assert not await dirty.wait(0.001)
    dirty.mark(Address("1", "pbx"))
    assert await dirty.wait(5)
    assert dirty.take_named() == {Address("1", "pbx")}


def test_the_status_says_what_troubles_it_until_it_caught_up() -> None:
    status = Status()
    status.leading(triggers=True)
    status.failed("PostgreSQL is away")
    assert (status.leads, status.trouble) == (True, "PostgreSQL is away")
    status.caught_up()
    assert status.trouble is None
    status.following()
    assert not status.leads
