"""Kafka: partitions of ``sip.mappings`` with their statuses in ``sip.registrations``, and the way to bridges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from dialog_runtime.bus.errors import BusOverloadedError, BusStoppedError, PermanentError
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.bus.record import Record
from dialog_schemas.cloudevents import MalformedEventError
from dialog_schemas.mappings import MappingRejected, MappingUpserted
from dialog_schemas.registrations import RegistrationStatus
from dialog_schemas.relay import Relay
from dialog_schemas.topics import SIP_REQUESTS

from dialog_registrar import handlers
from dialog_registrar.handlers import MappingEvent, Registrar
from dialog_registrar.model.continuing import ahead
from dialog_registrar.model.leases import Leases

log = structlog.get_logger(__name__)

_PORTION = 200
"""Records that are taken between two looks at everything else."""


class MappingsOwner:
    """What owns partitions of ``sip.mappings`` (:class:`~dialog_runtime.bus.ports.PartitionOwner`).

    ``let_go`` is called before a partition may be given up, so that its last statuses are handed over.
    """

    def __init__(self, registrar: Registrar, leases: Leases, let_go: Callable[[int], None]) -> None:
        self._registrar = registrar
        self._leases = leases
        self._let_go = let_go

    async def assigned(self, partition: int, state: Sequence[Record], inputs: Sequence[Record]) -> None:
        """Take every mapping of the partition over where its last owner left it."""
        statuses: dict[str, RegistrationStatus] = {}
        now = self._registrar.engine.moment().wall
        for number, record in enumerate(state):
            await _give_way(number)
            if (status := _status(record)) is not None:
                statuses[status.aor] = ahead(status, record.time, now)
        mapped = set()
        for number, record in enumerate(inputs):
            await _give_way(number)
            if (event := _mapping_or_none(record)) is not None:
                mapped.add(event.aor)
                handlers.mapping_changed(self._registrar, event, partition, statuses.get(event.aor))
        for record in state:
            if record.key is not None and record.key not in mapped:
                handlers.mapping_deleted(self._registrar, record.key, partition, statuses.get(record.key))
        log.info("partition taken over", partition=partition, mappings=len(mapped))
        # Requests wait for what might have been in it.
        self._registrar.pump.push()

    async def changed(self, partition: int, record: Record) -> None:
        """Take the next change of a mapping."""
        if record.key is None:
            raise MalformedEventError("a mapping without a key")
        if record.is_tombstone:
            handlers.mapping_deleted(self._registrar, record.key, partition)
        else:
            handlers.mapping_changed(self._registrar, _mapping(record), partition)

    def paused(self, partition: int) -> None:
        """Send nothing for the partition until it is sure again whose it is, and tell whoever has it then."""
        self._let_go(partition)
        self._leases.doubt(partition)

    def resumed(self, partition: int) -> None:
        """Go on with what was put off."""
        self._leases.confirm(partition)
        self._registrar.pump.push()

    async def revoked(self, partition: int) -> None:
        """Let go of the partition."""
        self._leases.confirm(partition)
        handlers.partition_revoked(self._registrar, partition)


def relay_of(registrar: Registrar, record: Record) -> None:
    """Handle one record of this instance's inbox."""
    if not record.is_relay:
        raise PermanentError("a registrar's inbox takes relayed SIP only")
    handlers.relay_received(registrar, record.relay())


class KafkaBridges:
    """The :class:`~dialog_registrar.ports.Bridges` port."""

    def __init__(self, publisher: Publisher, incarnation: str) -> None:
        self._publisher = publisher
        self._incarnation = incarnation

    def to_one(self, instance: str, relay: Relay) -> bool:
        """Put a message into the inbox of one bridge."""
        return self._sent(lambda: self._publisher.send_relay(instance, self._signed(relay)))

    def to_any(self, sip_call_id: str, relay: Relay) -> bool:
        """Put a message on ``sip.requests``."""
        return self._sent(lambda: self._publisher.send_relay(SIP_REQUESTS, self._signed(relay), sip_call_id))

    def _signed(self, relay: Relay) -> Relay:
        return replace(relay, incarnation=self._incarnation)

    @staticmethod
    def _sent(send: Callable[[], asyncio.Future[None]]) -> bool:
        try:
            future = send()
        except (BusOverloadedError, BusStoppedError) as error:
            log.warning("SIP not relayed", reason=str(error))
            return False
        future.add_done_callback(_log_failure)
        return True


def _log_failure(future: asyncio.Future[None]) -> None:
    # The PBX or the bridge learns of it by its own deadline; there is nothing better to tell them.
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning("SIP not relayed", reason=str(error))


def _mapping(record: Record) -> MappingEvent:
    event = record.envelope().event
    if not isinstance(event, MappingUpserted | MappingRejected):
        raise MalformedEventError(f"{event.type()} on {record.topic}")
    if event.aor != record.key:
        raise MalformedEventError(f"the key is {record.key!r}, the AOR of the event another")
    return event


def _mapping_or_none(record: Record) -> MappingEvent | None:
    try:
        return _mapping(record)
    except MalformedEventError as error:
        # It became a dead letter when it was read for the first time.
        log.warning("mapping ignored", record=str(record), reason=str(error))
        return None


def _status(record: Record) -> RegistrationStatus | None:
    try:
        event = record.envelope().event
    except MalformedEventError as error:
        log.warning("status ignored", record=str(record), reason=str(error))
        return None
    return event if isinstance(event, RegistrationStatus) else None


async def _give_way(number: int) -> None:
    if number % _PORTION == _PORTION - 1:
        await asyncio.sleep(0)
