"""Publishes statuses: those that changed, in one transaction for each partition at a time.

What somebody may wait for (another state, another reason, another Contact) is published at once. That a binding was
renewed as always waits for others of its kind, or rides along.
While a transaction is under way, changes of one mapping fall together, so an outage of Kafka costs no more memory
than there are mappings. What was published last is remembered by its hash: a REGISTER that changed nothing worth
telling is not told.
"""

from __future__ import annotations

import asyncio
from itertools import islice

import structlog
from dialog_runtime.bus.errors import PartitionLostError
from dialog_runtime.bus.message import Message, Stamp, tombstone_message
from dialog_runtime.bus.ports import Ownership
from dialog_runtime.bus.publisher import Publisher
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.topics import REGISTRATIONS
from pydantic_core import to_json

from dialog_registrar.model.engine import Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.status import Fields, Moment, fingerprint, status_fields

log = structlog.get_logger(__name__)

GATHER_FOR = 0.03
"""Seconds that a first change waits for others: a row, its REGISTER and the answer make one status."""
MANY, GATHER_MANY_FOR = 50, 0.1
"""Statuses at a time after which the next wait longer: who changes a thousand rows waits for the last of them."""
AT_A_TIME = 500
"""Statuses in one transaction."""
RENEWALS_EVERY = 3.0
"""Seconds that statuses which nobody waits for wait for each other: new grants of what was registered before, first
REGISTERs that will have their answer in a moment. A transaction costs as much as thirty
statuses; and who takes over without the last of these knows of a binding that ends a little earlier, and refreshes it
a little early."""
FLUSH_WITHIN = 3.0
"""Seconds that a stop waits for the last statuses."""
_WORRIES = frozenset({RegistrationState.RETRYING, RegistrationState.REJECTED})


class StatusPublisher:
    """Keeps :attr:`Engine.news` empty; a part of the service."""

    def __init__(self, engine: Engine, publisher: Publisher) -> None:
        self._engine = engine
        self._news = engine.news
        self._publisher = publisher
        self._ownership: Ownership | None = None
        self._under_way: dict[int, asyncio.Future[bool]] = {}
        self._some = asyncio.Event()
        self._gather_for = GATHER_FOR
        self._stopping = asyncio.Event()
        self._renewals: asyncio.TimerHandle | None = None

    def through(self, ownership: Ownership) -> None:
        """Publish in the transactions of these partitions."""
        self._ownership = ownership

    def look(self) -> None:
        """See whether there is something to publish."""
        if self._news.changed:
            self._some.set()
        if self._news.unhurried and self._renewals is None:
            self._renewals = asyncio.get_running_loop().call_later(RENEWALS_EVERY, self._publish_renewals)

    def stop(self) -> None:
        """Publish what is there, and end."""
        self._stopping.set()
        self._some.set()

    async def run(self) -> None:
        """Publish until stopped."""
        while not self._stopping.is_set():
            await self._some.wait()
            self._some.clear()
            try:
                async with asyncio.timeout(self._gather_for):
                    await self._stopping.wait()
            except TimeoutError:
                self.publish()
        if self._renewals is not None:
            self._renewals.cancel()

    def publish(self) -> None:
        """Begin a transaction for each partition that has changes and none under way."""
        many = sum(map(len, self._news.changed.values())) > MANY
        self._gather_for = GATHER_MANY_FOR if many else GATHER_FOR
        for partition in list(self._news.changed):
            if partition not in self._under_way:
                self._publish_of(partition)

    def _publish_renewals(self) -> None:
        self._renewals = None
        for partition in list(self._news.unhurried):
            if partition not in self._under_way:
                self._publish_of(partition)

    def let_go(self, partition: int) -> None:
        """Hand the last changes of a partition over to its transaction: it is about to be somebody else's."""
        self._under_way.pop(partition, None)
        while self._news.changed.get(partition) or self._news.unhurried.get(partition):
            self._publish_of(partition)

    async def flush(self) -> None:
        """Wait, bounded, until everything is published."""
        try:
            async with asyncio.timeout(FLUSH_WITHIN):
                while self._news.changed or self._news.unhurried or self._under_way:
                    self.publish()
                    self._publish_renewals()
                    await asyncio.wait(set(self._under_way.values()) or {asyncio.ensure_future(asyncio.sleep(0))})
        except TimeoutError:
            log.warning("not all statuses are published", partitions=sorted(self._news.changed))

    def _publish_of(self, partition: int) -> None:
        messages = self._messages(partition)
        if not messages or self._ownership is None:
            return
        try:
            future = self._ownership.commit(partition, messages)
        except PartitionLostError:
            return
        self._under_way[partition] = future
        future.add_done_callback(lambda done: self._committed(partition, done))

    def _messages(self, partition: int) -> list[Message]:
        moment, stamp = self._engine.moment(), self._publisher.stamp(REGISTRATIONS, RegistrationStatus)
        changed = _take(self._news.changed, partition, AT_A_TIME)
        renewed = _take(self._news.unhurried, partition, AT_A_TIME - len(changed))
        made = [self._message(aor, entry, moment, stamp) for aor, entry in changed]
        made += [self._renewal(aor, entry, moment, stamp) for aor, entry in renewed]
        return [message for message in made if message is not None]

    def _message(self, aor: str, entry: Entry | None, moment: Moment, stamp: Stamp) -> Message | None:
        if entry is None:
            return tombstone_message(REGISTRATIONS, aor)
        current = hash(fingerprint(entry, moment.now))
        if entry.published == current:
            return None
        entry.published = current
        status = status_fields(entry, self._engine.instance, moment)
        if status["state"] in _WORRIES:
            _log_worry(status)
        if status["state"] is RegistrationState.REGISTERED and not status["reason"] and entry.registration is not None:
            entry.told = entry.registration.contact
        return stamp.message(aor, to_json(status, exclude_none=True))

    def _renewal(self, aor: str, entry: Entry | None, moment: Moment, stamp: Stamp) -> Message | None:
        if entry is None or entry.told is None:
            return self._message(aor, entry, moment, stamp)
        entry.published = None
        return stamp.message(aor, to_json(status_fields(entry, self._engine.instance, moment), exclude_none=True))

    def _committed(self, partition: int, future: asyncio.Future[bool]) -> None:
        if self._under_way.get(partition) is future:
            del self._under_way[partition]
        if self._news.changed.get(partition):
            self._some.set()


def _take(waiting: dict[int, dict[str, Entry | None]], partition: int, limit: int) -> list[tuple[str, Entry | None]]:
    """Take up to ``limit`` of what waits for a partition."""
    changes = waiting.get(partition)
    if changes is None:
        return []
    taken = list(islice(changes.items(), limit))
    for aor, _ in taken:
        del changes[aor]
    if not changes:
        del waiting[partition]
    return taken


def _log_worry(status: Fields) -> None:
    code = status.get("last_code")
    log.warning("registration", aor=status["aor"], state=status["state"], reason=status["reason"], code=code)
