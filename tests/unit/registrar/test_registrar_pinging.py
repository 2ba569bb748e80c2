"""A PBX over UDP that was started anew is noticed by its OPTIONS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from dialog_registrar.adapters import pinging
from dialog_registrar.adapters.pinging import Pinger
from dialog_sip.aio import Flow

DEADLINE = 5.0


class Line:
    """A flow, and a PBX that does as ``answers`` say, one after the other; the last stays."""

    def __init__(self, *answers: bool | None) -> None:
        self.closed = False
        self.heard = 0
        self.asked = 0
        self.back: list[float] = []
        self.lost: list[Flow] = []
        self.news = asyncio.Event()
        self._answers = list(answers)

    async def ask(self, _flow: Flow) -> bool:
        self.asked += 1
        self.news.set()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            await asyncio.Event().wait()
        return bool(answer)

    def pinger(self) -> Pinger:
        return Pinger(lambda: cast("Flow", self), self.ask, self.lost.append, self.back.append, every=0.01)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.asked < times:
                self.news.clear()
                await self.news.wait()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinging, "ANSWER_WITHIN", 0.02)
    monkeypatch.setattr(pinging, "AGAIN_AFTER", 0.01)


@pytest.fixture
async def tasks() -> AsyncIterator[list[asyncio.Task[None]]]:
    started: list[asyncio.Task[None]] = []
    yield started
    for task in started:
        task.cancel()
    await asyncio.gather(*started, return_exceptions=True)


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        pytest.param([True, True], 0, id="always there"),
        pytest.param([True, False, False, True], 1, id="refused for a while, as by ICMP"),
        pytest.param([True, None, None, True], 1, id="silent for a while"),
        pytest.param([True, None, True, False, True], 2, id="twice"),
        pytest.param([False, False], 0, id="never answers OPTIONS"),
        pytest.param([False, False, True], 0, id="answers for the first time"),
    ],
)
async def test_a_silence_that_ended_is_told(
    answers: list[bool | None], times: int, tasks: list[asyncio.Task[None]]
) -> None:
    line = Line(*answers)
    tasks.append(asyncio.create_task(line.pinger().run()))
    await line.until_asked(len(answers) + 2)
    assert len(line.back) == len(line.lost) == times
    assert all(0 < seconds < DEADLINE for seconds in line.back)
    assert not tasks[0].done()


async def test_a_pbx_that_is_heard_otherwise_is_not_silent(tasks: list[asyncio.Task[None]]) -> None:
    line = Line(True, False, True)
    ask = line.ask

    async def ask_while_others_are_answered(_flow: Flow) -> bool:
        line.heard += 1
        return await ask(_flow)

    line.ask = ask_while_others_are_answered  # type: ignore[method-assign]
    tasks.append(asyncio.create_task(line.pinger().run()))
    await line.until_asked(5)
    assert line.back == []


async def test_a_flow_that_is_closed_is_not_pinged(tasks: list[asyncio.Task[None]]) -> None:
    line = Line(True)
    tasks.append(asyncio.create_task(line.pinger().run()))
    await line.until_asked(1)
    line.closed = True
    asked = line.asked
    await asyncio.wait(tasks, timeout=0.05)
    assert line.asked == asked
