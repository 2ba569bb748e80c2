"""The topics of the bus as one table: name, key, cleanup, who writes, who reads, which events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from dialog_schemas import calls, instances, mappings, registrations, users
from dialog_schemas.event import Event


class Cleanup(StrEnum):
    """Kafka's ``cleanup.policy``."""

    DELETE = "delete"
    COMPACT = "compact"


class Partitions(StrEnum):
    """How many partitions a topic has."""

    MANY = "many"
    """As configured (``services.kafka.partitions``); topics that share a key are co-partitioned."""
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. ``name`` is without the configured prefix."""

    name: str
    key: str
    cleanup: Cleanup
    producer: str
    consumers: str
    events: tuple[type[Event], ...] = ()
    partitions: Partitions = Partitions.MANY
    retention: timedelta | None = None
    """How long records are kept; of a compacted topic, how long a key that is written no more."""
    tombstone: type[Event] | None = None
    summary: str = field(default="")


USERS = Topic(
    "users", "user id", Cleanup.DELETE, "dialog server", "provisioner",
    (users.UserCreated, users.UserUpdated, users.UserDeleted), retention=timedelta(days=7),
    summary="The dialog server's users come, change and go.",
)  # fmt: skip
MAPPINGS = Topic(
    "sip.mappings", "AOR", Cleanup.COMPACT, "provisioner", "registrar, bridge",
    (mappings.MappingUpserted, mappings.MappingRejected), tombstone=mappings.MappingDeleted,
    summary="The table sip_user_mappings, without its passwords.",
)  # fmt: skip
REGISTRATIONS = Topic(
    "sip.registrations", "AOR", Cleanup.COMPACT, "registrar", "everyone",
    (registrations.RegistrationStatus,),
    summary="The state of every registration.",
)  # fmt: skip
CALL_COMMANDS = Topic(
    "call.commands", "call id", Cleanup.DELETE, "dialog server", "bridge",
    (calls.Start, calls.Ringing, calls.Accept, calls.Reject, calls.SetSdp, calls.AddIce, calls.SendDtmf, calls.Hold,
     calls.Resume, calls.Transfer, calls.Hangup), retention=timedelta(days=1),
    summary="What the dialog server wants of a call.",
)  # fmt: skip
CALL_EVENTS = Topic(
    "call.events", "call id", Cleanup.DELETE, "bridge", "dialog server",
    (calls.Incoming, calls.Trying, calls.Progress, calls.RemoteRinging, calls.Answered, calls.SdpChanged,
     calls.IceFound, calls.Held, calls.DtmfReceived, calls.Transferred, calls.Ended), retention=timedelta(days=7),
    summary="What became of a call.",
)  # fmt: skip
CALL_DIRECTORY = Topic(
    "call.directory", "call id", Cleanup.COMPACT, "bridge", "bridge, registrar",
    (instances.CallHeld,),
    summary="Which bridge holds a call, and what another needs to take it over. A tombstone ends it.",
)  # fmt: skip
INSTANCES = Topic(
    "instances", "instance id", Cleanup.COMPACT, "all", "all", (instances.Heartbeat,), partitions=Partitions.ONE,
    retention=timedelta(minutes=10), summary="Heartbeats. A tombstone is a clean exit.",
)  # fmt: skip
SIP_REQUESTS = Topic(
    "sip.requests", "SIP Call-ID", Cleanup.DELETE, "registrar", "bridge", retention=timedelta(minutes=5),
    summary="Raw SIP: requests outside any known SIP dialog (see dialog_schemas.relay).",
)  # fmt: skip
DEAD_LETTERS = Topic(
    "dead-letters", "as the source", Cleanup.DELETE, "all", "operators", partitions=Partitions.ONE,
    retention=timedelta(days=30),
    summary="Events that could not be handled, as they came, with the error in dead_letter_* headers.",
)  # fmt: skip

TOPICS: tuple[Topic, ...] = (
    USERS, MAPPINGS, REGISTRATIONS, CALL_COMMANDS, CALL_EVENTS, CALL_DIRECTORY, INSTANCES, SIP_REQUESTS, DEAD_LETTERS,
)  # fmt: skip
"""Every topic that exists once. Each instance has an inbox besides."""


def inbox(instance: str) -> Topic:
    """Return the topic that only ``instance`` reads: relayed SIP, and commands for calls it holds."""
    return Topic(
        f"inbox.{instance}", "call id or none", Cleanup.DELETE, "bridge, registrar", instance, CALL_COMMANDS.events,
        partitions=Partitions.ONE, retention=timedelta(minutes=5),
        summary="Relayed SIP (see dialog_schemas.relay) and call commands for a call that is held here.",
    )  # fmt: skip


EVENT_TYPES: dict[str, type[Event]] = {event.type(): event for topic in TOPICS for event in topic.events}
"""CloudEvents ``type`` -> model."""
