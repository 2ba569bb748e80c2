from __future__ import annotations

import asyncio

from dialog_provisioner.adapters.faust_users import UserStream
from dialog_runtime.bus.errors import BusTimeoutError
from dialog_runtime.bus.record import Record
from dialog_runtime.config.services import Kafka


async def test_users_are_waited_for_however_long_kafka_is_away() -> None:
    attempts = 0
    third = asyncio.Event()

    async def away() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        if attempts == 3:
            third.set()
            await asyncio.Event().wait()
        raise BusTimeoutError("no Kafka")

    async def process(record: Record, stopping: asyncio.Event) -> bool:
        return True

    stream = UserStream(Kafka(), process, away)
    running = asyncio.create_task(stream.run())
    async with asyncio.timeout(5):
        await third.wait()
        assert not stream.is_reading
        stream.stop()
        await running
