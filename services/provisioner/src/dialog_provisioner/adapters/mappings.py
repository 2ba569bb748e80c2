"""Port ``Topic``: ``sip.mappings``, written through the publisher, read back through a view.

Theory of operation. What this process sends counts as published at once (the *overlay*), until the view has read it
back. What the view reads without its being in the overlay was written by another: while this process leads, that is
one that was stopped and does not know yet that it leads no longer, so the whole table is compared again. A record
that was sent and has not come back after :data:`ECHO_WITHIN` is taken for lost, with the same effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple, TypeVar, overload
from uuid import uuid4

from dialog_runtime.bus.errors import BusError
from dialog_runtime.bus.message import Stamp
from dialog_runtime.bus.ports import Bus
from dialog_runtime.bus.publisher import PUBLISH_WITHIN
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View
from dialog_runtime.clock import Clock
from dialog_runtime.table.check import Checked
from dialog_schemas.cloudevents import MalformedEventError
from dialog_schemas.mappings import MappingRejected, MappingUpserted
from dialog_schemas.topics import MAPPINGS

from dialog_provisioner.dirty import Dirty
from dialog_provisioner.model.diff import Change
from dialog_provisioner.ports import TopicUnavailableError

_EVENT_ID = "ce_id"
ECHO_WITHIN = 10.0
"""Seconds after which a record that was acknowledged must have been read back."""


_T = TypeVar("_T")
_Stamps = Mapping[type[Checked], Stamp]


class _Sent(NamedTuple):
    """What was sent for a key; ``event_id`` as the record has it, ``expires`` on the monotonic clock."""

    event: Checked | None
    event_id: bytes
    expires: float


class MappingTopic:
    """Marks ``dirty`` where the topic says something that this process did not write."""

    def __init__(self, bus: Bus, dirty: Dirty, clock: Clock) -> None:
        self._publisher = bus.publisher
        self._dirty = dirty
        self._clock = clock
        self._overlay: dict[str, _Sent] = {}
        self._ids = map(f"{uuid4().hex}-{{}}".format, count())
        self._view: View[Checked] = bus.view(MAPPINGS, self._decode, self._on_change)
        self.published: Mapping[str, Checked] = _Published(self._view, self._overlay)

    @property
    def size(self) -> int:
        """Keys on the topic, as it was read."""
        return len(self._view)

    async def ready(self) -> None:
        """Return once the topic was read."""
        await self._view.ready()
        self._forget_lost()

    async def publish(self, changes: Sequence[Change]) -> None:
        """Write ``changes`` and wait for the broker."""
        expires = self._clock.monotonic() + ECHO_WITHIN
        sent: dict[asyncio.Future[None], str] = {}
        stamps = {kind: self._publisher.stamp(MAPPINGS, kind) for kind in (MappingUpserted, MappingRejected)}
        try:
            for change in changes:
                # Taken out first, so that the overlay stays in the order of expiry.
                self._overlay.pop(change.key, None)
                event_id = next(self._ids).encode()
                self._overlay[change.key] = _Sent(change.event, event_id, expires)
                sent[self._send(change, event_id, stamps)] = change.key
            if sent:
                await asyncio.wait(sent, timeout=PUBLISH_WITHIN)
        except BusError as error:
            self._overlay.pop(change.key, None)
            raise TopicUnavailableError(f"{MAPPINGS.name} cannot be written: {error}") from error
        finally:
            failures = [reason for future, key in sent.items() if (reason := self._failure(future, key)) is not None]
        if failures:
            raise TopicUnavailableError(
                f"{len(failures)} records for {MAPPINGS.name} not taken by Kafka: {failures[0]}"
            )
        self._forget_lost()

    def _send(self, change: Change, event_id: bytes, stamps: _Stamps) -> asyncio.Future[None]:
        event = change.event
        if event is None:
            return self._publisher.send_tombstone(MAPPINGS, change.key)
        value = event.model_dump_json(by_alias=True, exclude_none=True).encode()
        return self._publisher.send_message(stamps[type(event)].message(change.key, value, event_id))

    def _failure(self, sent: asyncio.Future[None], key: str) -> str | None:
        """Return why a record is not known to be there, and no longer count it as published; None where it is."""
        error: BaseException | None = None
        if not sent.done():
            # Nobody waits for it any more; it may still arrive, and is then read back.
            sent.cancel()
            error = TimeoutError("no acknowledgement in time")
        elif not sent.cancelled():
            error = sent.exception()
        if error is None:
            return None
        self._overlay.pop(key, None)
        return f"{type(error).__name__} {error}"

    def _on_change(self, key: str, event: Checked | None) -> None:
        mine = self._overlay.get(key)
        if mine is None:
            self._dirty.mark_everything()
        elif mine.event is event or mine.event == event:
            del self._overlay[key]

    def _forget_lost(self) -> None:
        """Believe the topic again where a record did not come back."""
        now = self._clock.monotonic()
        while self._overlay:
            key, mine = next(iter(self._overlay.items()))
            if mine.expires > now:
                return
            del self._overlay[key]
            # A tombstone for what the view never saw does not come back.
            if self._view.get(key) != mine.event:
                self._dirty.mark_everything()

    def _decode(self, record: Record) -> Checked:
        mine = self._overlay.get(record.key or "")
        if mine is not None and mine.event is not None and (_EVENT_ID, mine.event_id) in record.headers:
            return mine.event
        event = record.envelope().event
        if not isinstance(event, MappingUpserted | MappingRejected):
            raise MalformedEventError(f"{event.type()} has no place on {MAPPINGS.name}")
        return event


class _Published(Mapping[str, Checked]):
    """The view, with what is on its way laid over it."""

    def __init__(self, view: View[Checked], overlay: Mapping[str, _Sent]) -> None:
        self._view = view
        self._overlay = overlay

    def __getitem__(self, key: str) -> Checked:
        event = self._last(key)
        if event is None:
            raise KeyError(key)
        return event

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._last(key) is not None

    # Asked several times a row, so not by way of a KeyError, as Mapping has it.
    @overload
    def get(self, key: str, /) -> Checked | None: ...
    @overload
    def get(self, key: str, /, default: Checked | _T) -> Checked | _T: ...
    def get(self, key: str, /, default: Checked | _T | None = None) -> Checked | _T | None:
        event = self._last(key)
        return default if event is None else event

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._view if key not in self._overlay or self._overlay[key].event is not None)
        yield from [key for key, mine in self._overlay.items() if mine.event is not None and key not in self._view]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _last(self, key: str) -> Checked | None:
        mine = self._overlay.get(key)
        return self._view.get(key) if mine is None else mine.event
