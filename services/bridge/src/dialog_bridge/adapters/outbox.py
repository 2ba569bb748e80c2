"""The way out to the bus: sends at once, and again for as long as the bus is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from dialog_runtime.bus import BusError, Publisher, Record, TransientError
from dialog_schemas.calls import CallEvent
from dialog_schemas.instances import CallHeld
from dialog_schemas.relay import Relay, RelayKind
from dialog_schemas.topics import CALL_DIRECTORY, CALL_EVENTS

log = structlog.get_logger(__name__)

RETRY = 0.5
"""Seconds between attempts."""

RELAY_ATTEMPTS = 10
"""Of up to 30 s each: an inbox that is not there for that long belongs to a registrar that does not come back."""

Submit = Callable[[], "asyncio.Future[None]"]


class BusOutbox:
    """:class:`dialog_bridge.ports.Outbox` on a :class:`Publisher`.

    The publisher keeps the order and waits out short absences of the broker; what it gives back after that is
    submitted again. Call events carry ``seq`` and SIP its CSeq, for what an outage may put out of order. What waits is
    bounded by the calls at hand: each says a bounded number of things by itself, and the rest answers to the bus.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def tell(self, event: CallEvent, trace: str | None) -> asyncio.Future[None]:
        """Publish a call event."""
        event_id = f"{event.call_id}/{event.seq}"
        return self._deliver(
            lambda: self._publisher.send(CALL_EVENTS, event.call_id, event, event_id=event_id, trace=trace)
        )

    def relay(self, to: str, relay: Relay) -> asyncio.Future[None]:
        """Send a SIP message. A request that starts something has lost its sense after an outage, and goes once."""
        starts = relay.kind is RelayKind.REQUEST and relay.sip.startswith(b"INVITE ")
        attempts = 1 if starts else RELAY_ATTEMPTS
        return self._deliver(lambda: self._publisher.send_relay(to, relay, relay.call), attempts)

    def record(self, entry: CallHeld) -> asyncio.Future[None]:
        """Write an entry of the directory."""
        return self._deliver(lambda: self._publisher.send(CALL_DIRECTORY, entry.call_id, entry))

    def forget(self, call_id: str) -> asyncio.Future[None]:
        """Drop an entry of the directory."""
        return self._deliver(lambda: self._publisher.send_tombstone(CALL_DIRECTORY, call_id))

    async def forward(self, to: str, record: Record) -> None:
        """Send a record on."""
        await self._publisher.forward(to, record)

    def _deliver(self, submit: Submit, attempts: int | None = None) -> asyncio.Future[None]:
        delivery = _Delivery(submit, asyncio.get_running_loop().create_future(), attempts)
        delivery.attempt()
        return delivery.delivered


@dataclass(slots=True)
class _Delivery:
    """One message on its way. ``attempts`` is how many are left; None: as many as it takes."""

    submit: Submit
    delivered: asyncio.Future[None]
    attempts: int | None

    def attempt(self) -> None:
        """Submit the message."""
        if self.attempts is not None:
            self.attempts -= 1
        try:
            self.submit().add_done_callback(self._done)
        except BusError as error:
            self._failed(error)

    def _done(self, attempt: asyncio.Future[None]) -> None:
        if self.delivered.done():
            return
        if attempt.cancelled():
            self.delivered.cancel()
        elif (error := attempt.exception()) is not None:
            self._failed(error)
        else:
            self.delivered.set_result(None)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, TransientError) and self.attempts != 0:
            asyncio.get_running_loop().call_later(RETRY, self.attempt)
            return
        # Nothing can be mended here: the loss is told once, and whoever waits goes on.
        log.error("message given up", error=type(error).__name__)
        if not self.delivered.done():
            self.delivered.set_result(None)
