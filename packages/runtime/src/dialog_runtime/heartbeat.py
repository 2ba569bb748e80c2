"""Tell the others once a second that this instance is alive, and with a tombstone that it is gone for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from dialog_schemas.instances import Heartbeat, ServiceName
from dialog_schemas.topics import INSTANCES

from dialog_runtime.bus.errors import BusError
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.clock import Clock
from dialog_runtime.health import Check

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between heartbeats."""
DEAD_AFTER = 3.0
"""Seconds of silence after which an instance is dead to the others."""
_GOODBYE_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much the instance carries, in its own unit; ``capacity`` is None where nobody set a limit."""

    load: float = 0
    capacity: float | None = None


class HeartbeatPart:
    """Sends the heartbeats; a part of the service."""

    def __init__(
        self,
        publisher: Publisher,
        clock: Clock,
        *,
        service: ServiceName,
        instance: str,
        version: str,
        http: str | None,
        incarnation: str,
        load: Callable[[], Load],
        draining: Callable[[], bool],
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._service = service
        self._instance = instance
        self._version = version
        self._http = http
        self._incarnation = incarnation
        self._load = load
        self._draining = draining
        self._stopping = asyncio.Event()
        self._acknowledged: float | None = None

    def stop(self) -> None:
        """Say goodbye and end."""
        self._stopping.set()

    def kafka(self) -> Check:
        """Tell whether Kafka took the last heartbeats."""
        if self._acknowledged is None:
            return Check(ok=False, detail="not reached yet")
        age = self._clock.monotonic() - self._acknowledged
        return Check(ok=age < DEAD_AFTER, detail="" if age < DEAD_AFTER else f"no acknowledgement for {age:.0f} s")

    async def run(self) -> None:
        """Beat until stopped."""
        while not self._stopping.is_set():
            await self._beat()
            try:
                async with asyncio.timeout(EVERY):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        await self._goodbye()

    async def _beat(self) -> None:
        load = self._load()
        event = Heartbeat(
            instance=self._instance,
            service=self._service,
            version=self._version,
            at=self._clock.utcnow(),
            load=load.load,
            capacity=load.capacity,
            draining=self._draining(),
            http=self._http,
            incarnation=self._incarnation,
        )
        try:
            # One at a time: an outage must not pile heartbeats up.
            await self._publisher.publish(INSTANCES, self._instance, event, within=DEAD_AFTER)
        except BusError as error:
            log.warning("heartbeat not sent", error=type(error).__name__)
        else:
            self._acknowledged = self._clock.monotonic()

    async def _goodbye(self) -> None:
        try:
            await self._publisher.tombstone(INSTANCES, self._instance, within=_GOODBYE_WITHIN)
        except BusError as error:
            log.info("no goodbye sent", error=type(error).__name__)
