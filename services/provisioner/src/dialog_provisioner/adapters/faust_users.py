"""Topic ``users`` through a Faust agent.

Theory of operation. The agent acknowledges an event only after its effect: ``noack()``, ``events()``,
``concurrency=1``, no tables, and nothing that is raised leaves its body, because each of Faust's defaults would
commit an event that nobody has handled. An acknowledgement counts only while the partitions are those that the event
came with: one that comes after a rebalance could stand beside a hole of one event, which Faust commits over. Such an
event comes again, here or elsewhere, and handlers are idempotent.

Faust runs in the service's own event loop, started as a service and without its ``Worker``, which would take over
signals, logging, standard output and a web port. It reads in a thread of its own. When it crashes (it does while
Kafka is away for long) it is built anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

import faust
import structlog
from dialog_runtime.bus.client import client_options
from dialog_runtime.bus.errors import TransientError
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record, key_text
from dialog_runtime.config.services import Kafka
from dialog_schemas.topics import USERS
from faust.app.base import BootStrategy

from dialog_provisioner.adapters.session_timeout import session_timeout

GROUP = "provisioner.users"
"""Consumer group, after the topic prefix."""
FINISH_WITHIN = 5.0
"""Seconds that a stop waits for the event in hand."""
STOP_WITHIN = 10.0
"""Seconds that Faust gets to commit and to leave the group."""
RESTART_AFTER = 1.0
"""Seconds between a crash of Faust and the next attempt."""

log = structlog.get_logger()

Process = Callable[[Record, asyncio.Event], Awaitable[bool]]
"""Handles a record; false where it was told to stop before that was done."""


class Ready(Protocol):
    """Waits for something that Faust needs."""

    async def __call__(self) -> None:
        """Return when it is there; raise :class:`TransientError` after a while."""


class _NoWeb(BootStrategy):
    """Faust without its web server, whatever its configuration or command line say."""

    enable_web = False


class _Diskless(faust.App):
    """Faust without its folders: nothing is kept in them, as there are no tables, and kill -9 would leave them."""

    def _create_directories(self) -> None:
        return


class UserStream:
    """A part of the service: handles each event of topic ``users`` with ``process``, in order per user."""

    def __init__(self, kafka: Kafka, process: Process, topic_there: Ready) -> None:
        self._kafka = kafka
        self._names = Names(kafka.topic_prefix)
        self._process = process
        self._topic_there = topic_there
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_reading = False
        """True while Faust runs."""

    def stop(self) -> None:
        """Finish the event in hand, keep its offset and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped."""
        for chatty in ("faust", "mode"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        while not self._stopping.is_set():
            try:
                await self._unless_stopped(self._topic_there())
            except TransientError as error:
                log.warning("users wait for Kafka", reason=str(error))
                continue
            if not self._stopping.is_set():
                await self._session(self._app(await session_timeout(self._kafka)))

    async def _session(self, app: Any) -> None:  # noqa: ANN401  Faust has no types
        ended: asyncio.Future[None] | None = None
        try:
            await self._unless_stopped(app.start())
            if not self._stopping.is_set() and app.crash_reason is None:
                self.is_reading = True
                log.info("reading users")
                ended = asyncio.ensure_future(app.wait_until_stopped())
                await self._unless_stopped(asyncio.shield(ended))
        except Exception as error:  # noqa: BLE001  Faust raises anything; it is built anew
            log.warning("Faust failed", error=type(error).__name__)
        finally:
            self.is_reading = False
            await self._end(app)
            if ended is not None:
                await asyncio.wait({ended}, timeout=1)
        if not self._stopping.is_set():
            log.warning("Faust stopped, starting it again", reason=type(app.crash_reason).__name__)
            await self._pause(RESTART_AFTER)

    async def _end(self, app: Any) -> None:  # noqa: ANN401  Faust has no types
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN):
                await self._idle.wait()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await app.stop()
        except Exception as error:  # noqa: BLE001  what it has not committed comes again
            log.warning("Faust did not stop cleanly", error=type(error).__name__)

    def _app(self, timeout: float) -> Any:  # noqa: ANN401
        options = client_options(self._kafka, "dialog-sip-provisioner")
        app = _Diskless(
            self._names.full(GROUP),
            broker=[f"kafka://{server}" for server in options["bootstrap_servers"]],
            broker_client_id=options["client_id"],
            broker_credentials=_credentials(options),
            broker_session_timeout=timeout,
            broker_heartbeat_interval=timeout / 4,
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            processing_guarantee="at_least_once",
            # An event in hand at a rebalance is dropped here and handled by whoever gets the partition.
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            web_enabled=False,
        )
        app.boot_strategy = _NoWeb(app)
        topic = app.topic(self._names.full(USERS), key_serializer="raw", value_serializer="raw", allow_empty=True)

        async def users(stream: Any) -> None:  # noqa: ANN401
            async for event in stream.noack().events():
                await self._one(app, stream, event)

        app.agent(topic, name="users", concurrency=1)(users)
        return app

    async def _one(self, app: Any, stream: Any, event: Any) -> None:  # noqa: ANN401
        if self._stopping.is_set():
            # Nothing new is begun; the stop cancels this wait.
            await asyncio.Event().wait()
        self._idle.clear()
        try:
            message = event.message
            done = await self._process(self._record(message), self._stopping)
            if done and message.generation_id == app.consumer_generation_id:
                await stream.ack(event)
        finally:
            self._idle.set()

    def _record(self, message: Any) -> Record:  # noqa: ANN401
        headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
        return Record(
            topic=self._names.short(message.topic),
            partition=message.partition,
            offset=message.offset,
            key=key_text(message.key),
            value=message.value,
            headers=tuple((name, value or b"") for name, value in headers),
            timestamp=int((message.timestamp or 0) * 1000),
        )

    async def _unless_stopped(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _credentials(options: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return Faust's credentials for the options of our own clients."""
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return faust.SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
