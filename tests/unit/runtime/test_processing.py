"""What becomes of a record whose handler fails."""

from __future__ import annotations

import asyncio

import pytest
from dialog_runtime.bus import PermanentError, Record, TransientError
from dialog_runtime.bus.message import dead_letter_message, in_words
from dialog_runtime.bus.metrics import BusMetrics
from dialog_runtime.bus.process import Processor, Retries
from dialog_runtime.clock import ManualClock
from dialog_runtime.metrics import Metrics
from dialog_schemas.cloudevents import MalformedEventError

RECORD = Record("users", 2, 7, "434", b"{}", (("ce_id", b"x"), ("dead_letter_error", b"older")))
AT_ONCE = Retries(attempts=3, first=0, longest=0)


class Scripted:
    """A handler that fails as it is told, and the dead letters."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.dead: list[BaseException] = []
        self.letters_fail = 0
        self.metrics = Metrics()
        self.processor = Processor(self, self.dead_letter, BusMetrics(self.metrics), AT_ONCE)

    async def __call__(self, record: Record) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)

    async def dead_letter(self, record: Record, error: BaseException) -> None:
        if self.letters_fail:
            self.letters_fail -= 1
            raise TransientError("away")
        self.dead.append(error)

    async def process(self) -> bool:
        return await self.processor(RECORD, asyncio.Event())


async def test_success_is_once() -> None:
    handler = Scripted()
    assert await handler.process()
    assert (handler.calls, handler.dead) == (1, [])


@pytest.mark.parametrize("error", [PermanentError("no"), MalformedEventError("bad")])
async def test_a_hopeless_record_is_a_dead_letter_at_once(error: Exception) -> None:
    handler = Scripted(error)
    assert await handler.process()
    assert (handler.calls, handler.dead) == (1, [error])


async def test_a_bug_is_tried_a_few_times() -> None:
    handler = Scripted(*(KeyError("x") for _ in range(9)))
    assert await handler.process()
    assert handler.calls == 3
    assert len(handler.dead) == 1
    assert b'dead_letters_total{topic="users"} 1.0' in handler.metrics.render()


@pytest.mark.parametrize("error", [TransientError, ConnectionError, TimeoutError])
async def test_what_is_away_is_waited_for(error: type[Exception]) -> None:
    handler = Scripted(*(error() for _ in range(20)))
    assert await handler.process()
    assert (handler.calls, handler.dead) == (21, [])


async def test_a_dead_letter_is_tried_until_it_is_kept() -> None:
    handler = Scripted(PermanentError("no"))
    handler.letters_fail = 5
    assert await handler.process()
    assert len(handler.dead) == 1


async def test_a_stop_leaves_the_record_for_the_next_owner() -> None:
    handler = Scripted(TransientError("away"))
    stopping = asyncio.Event()
    stopping.set()
    assert not await handler.processor(RECORD, stopping)
    assert handler.dead == []


async def test_a_cancelled_handler_is_no_failure() -> None:
    handler = Scripted(asyncio.CancelledError())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await handler.process()


def test_a_dead_letter_keeps_the_record_and_says_why() -> None:
    message = dead_letter_message(RECORD, PermanentError("no such user"), source="/p/1", at=ManualClock().utcnow())
    assert (message.topic, message.key, message.value) == ("dead-letters", "434", b"{}")
    assert message.headers[0] == ("ce_id", b"x")
    why = dict(message.headers)
    assert why["dead_letter_error"] == b"PermanentError: no such user"
    assert why["dead_letter_topic"] == b"users"
    assert why["dead_letter_offset"] == b"7"
    assert [name for name, _ in message.headers].count("dead_letter_error") == 1


def test_a_dead_letter_without_key_and_value_can_be_sent() -> None:
    record = Record("users", 0, 0, None, None)
    assert dead_letter_message(record, PermanentError("x"), source="/", at=ManualClock().utcnow()).value == b""


def test_the_words_of_a_foreign_error_are_not_told() -> None:
    try:
        int("s3cret")
    except ValueError as error:
        words = in_words(error)
    assert "s3cret" not in words
    assert words.startswith("ValueError in test_the_words_of_a_foreign_error_are_not_told line ")


def test_delays_grow_to_a_bound() -> None:
    retries = Retries(first=0.1, longest=2)
    assert 0.05 <= retries.delay(1) <= 0.1
    assert 1 <= retries.delay(50) <= 2
