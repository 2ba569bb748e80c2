"""How this instance is a member of consumer groups.

Membership is static (``group.instance.id``): a process that comes back within the session timeout gets its partitions
back without a rebalance. Partitions stay where they are at a rebalance as far as they can (sticky assignment).

A member leads the group and deals out. A broker that has not heard yet of a new topic tells it of none, and aiokafka
would deal out nothing and leave it so until the metadata are renewed by age, a minute later; ours begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import UnknownTopicOrPartitionError

from dialog_runtime.bus.consumers import FETCHING, Connect
from dialog_runtime.bus.names import Names
from dialog_runtime.config.services import Kafka

log = structlog.get_logger(__name__)

BROKER_DEFAULT_MS = 6000
"""The least session timeout that a broker takes unless it is told otherwise (``group.min.session.timeout.ms``)."""
_REBALANCE_MS = 10_000
_NEVER_MS = 24 * 3600 * 1000
"""Liveness is shown by heartbeats; a lane that waits for a database must not lose its group for that."""


class Assignor(StickyPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Sticky, and deals out all or nothing."""

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401  aiokafka has no types
        """Deal out. Raises :class:`UnknownTopicOrPartitionError`, which ends the session of the consumer."""
        topics = {topic for member in members.values() for topic in member.subscription}
        unknown = sorted(topic for topic in topics if not cluster.partitions_for_topic(topic))
        if unknown:
            raise UnknownTopicOrPartitionError(", ".join(unknown))
        dealt: dict[str, Any] = super().assign(cluster, members)
        return dealt


class Membership:
    """Makes the consumers of one group."""

    def __init__(self, kafka: Kafka, names: Names, group: str, instance: str, connect: Connect) -> None:
        self.group_id = names.full(group)
        self._instance = instance
        self._connect = connect
        self._session_ms = int(kafka.session_timeout.total_seconds() * 1000)

    @property
    def session_timeout(self) -> float:
        """Seconds without a heartbeat after which the partitions go to others."""
        return self._session_ms / 1000

    def consumer(self) -> AIOKafkaConsumer:
        """Return a consumer that is not yet started."""
        return self._connect(**self._options())

    def session_timeout_refused(self) -> None:
        """Fall back on what a broker takes by default."""
        log.warning(
            "the broker refuses the session timeout; takeover will be slower. Set group.min.session.timeout.ms there",
            asked_ms=self._session_ms,
            used_ms=BROKER_DEFAULT_MS,
        )
        self._session_ms = BROKER_DEFAULT_MS

    def _options(self) -> dict[str, Any]:
        return {
            **FETCHING,
            "group_id": self.group_id,
            "group_instance_id": self._instance,
            "session_timeout_ms": self._session_ms,
            "heartbeat_interval_ms": self._session_ms // 4,
            "rebalance_timeout_ms": max(_REBALANCE_MS, self._session_ms),
            "max_poll_interval_ms": _NEVER_MS,
            # A class of its own: the assignor keeps what it dealt out in class attributes.
            "partition_assignment_strategy": (type("Sticky", (Assignor,), {}),),
            "enable_auto_commit": False,
        }
