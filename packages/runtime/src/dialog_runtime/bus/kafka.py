"""The bus on a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from dialog_schemas.topics import Topic
from dialog_schemas.topics import inbox as inbox_of

from dialog_runtime.bus.client import client_options
from dialog_runtime.bus.follower import Follower, Inbox, Tail, ViewFollower
from dialog_runtime.bus.group import GroupConsumer
from dialog_runtime.bus.membership import Membership
from dialog_runtime.bus.metrics import BusMetrics
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.owned.ownership import OwnedPartitions
from dialog_runtime.bus.owned.session import Tools
from dialog_runtime.bus.ports import PartitionOwner
from dialog_runtime.bus.process import Handler, Processor
from dialog_runtime.bus.producer import KafkaSender
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.bus.reader import Reader
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.bus.view import View
from dialog_runtime.clock import Clock, SystemClock
from dialog_runtime.config.services import Kafka
from dialog_runtime.metrics import Metrics
from dialog_runtime.supervise import Supervisor

V = TypeVar("V")

TRANSACTION_TIMEOUT_MS = 300_000
"""An outage of the broker in the middle of a transaction must not look like another owner. A dead owner's is
aborted by the next one at once, whatever stands here."""

BATCH_BYTES = 128 << 10
"""Of one partition on its way. A burst above it waits for an acknowledgement; aiokafka's own 16 KB hold 40 events."""


class KafkaBus:
    """What :class:`~dialog_runtime.bus.ports.Bus` asks for; what it starts is owned by the supervisor.

    ``service`` and ``instance`` make the CloudEvents source, ``/service/instance``.
    """

    def __init__(
        self,
        kafka: Kafka,
        *,
        service: str,
        instance: str,
        supervisor: Supervisor,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._kafka = kafka
        self._names = Names(kafka.topic_prefix)
        self._instance = instance
        self._supervisor = supervisor
        self._client_id = f"{service}-{instance}"
        self._clock = clock or SystemClock()
        self._sender = KafkaSender(self._names, self._producer)
        self._publisher = Publisher(self._sender, f"/{service}/{instance}", self._clock)
        self._reader: Reader | None = None
        """For views and tails: they begin together, as far as they are asked for together."""
        metrics = metrics or Metrics()
        self._metrics = BusMetrics(metrics)
        metrics.watch("records_pending", "Records that Kafka has not acknowledged yet", lambda: self._sender.pending)
        supervisor.start("producer", self._sender)

    @property
    def instance(self) -> str:
        """Instance id of this process."""
        return self._instance

    @property
    def publisher(self) -> Publisher:
        """The way out."""
        return self._publisher

    @property
    def sender(self) -> KafkaSender:
        """What carries the records, for health and metrics."""
        return self._sender

    def view(
        self,
        topic: Topic,
        decode: Callable[[Record], V],
        on_change: Callable[[str, V | None], None] | None = None,
    ) -> View[V]:
        """Follow a compacted topic into memory."""
        view = View(decode, on_change)
        self._follow(ViewFollower(topic, view))
        return view

    def tail(self, topic: Topic, look: Callable[[Record], None], *, from_end: bool = True) -> Tail:
        """Show every record of ``topic`` to ``look``, outside any group: for those who only look on."""
        tail = Tail(topic, look, from_end=from_end)
        self._follow(tail)
        return tail

    def consume(self, group: str, topics: Sequence[Topic], handler: Handler) -> GroupConsumer:
        """Handle the records of ``topics`` together with the other members of ``group``, in order per partition."""
        membership = Membership(self._kafka, self._names, group, self._instance, self._consumer)
        consumer = GroupConsumer(
            self._names,
            [topic.name for topic in topics],
            membership,
            lambda: self._ensure(topics),
            self.processor(handler),
        )
        self._supervisor.start(f"group {group}", consumer)
        return consumer

    def processor(self, handler: Handler) -> Processor:
        """Return ``handler`` under the policy of retries and dead letters, for a consumer that is not of this bus."""
        return Processor(handler, self._publisher.dead_letter, self._metrics)

    def inbox(self, handler: Handler) -> Inbox:
        """Handle what is sent to this instance from now on, in order."""
        inbox = Inbox(inbox_of(self._instance), self.processor(handler))
        # Not with the views: a record in hand holds up what is read with it.
        self._read(inbox)
        return inbox

    def own(self, group: str, inputs: Topic, state: Topic, owner: PartitionOwner) -> OwnedPartitions:
        """Own partitions of ``inputs`` with their state in ``state``, together with the other members of ``group``."""
        membership = Membership(self._kafka, self._names, group, self._instance, self._consumer)
        tools = Tools(
            names=self._names,
            group_id=membership.group_id,
            inputs=self._names.full(inputs),
            state=self._names.full(state),
            reader=self._consumer,
            producer=self._transactional,
            transactional_id=lambda partition: self._names.full(f"{group}-{partition}"),
            owner=owner,
            processor=self.processor,
        )
        owned = OwnedPartitions(membership, tools, lambda: self._ensure((inputs, state)), self._clock)
        self._supervisor.start(f"partitions of {inputs.name}", owned)
        return owned

    def _transactional(self, transactional_id: str) -> AIOKafkaProducer:
        return self._producer(transactional_id=transactional_id, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS)

    def _follow(self, follower: Follower) -> None:
        if self._reader is None or not self._reader.add(follower):
            self._reader = self._read(follower)

    def _read(self, follower: Follower) -> Reader:
        reader = Reader(self._names, self._consumer, self._ensure)
        reader.add(follower)
        self._supervisor.start(f"reader of {follower.topic.name}", reader)
        return reader

    async def _ensure(self, topics: Iterable[Topic]) -> None:
        await ensure_topics(self._kafka, topics)

    def _producer(self, **options: Any) -> AIOKafkaProducer:  # noqa: ANN401  aiokafka's own options
        ours = {"enable_idempotence": True, "linger_ms": 0, "max_batch_size": BATCH_BYTES}
        return AIOKafkaProducer(**{**client_options(self._kafka, self._client_id), **ours, **options})

    def _consumer(self, **options: Any) -> AIOKafkaConsumer:  # noqa: ANN401  aiokafka's own options
        return AIOKafkaConsumer(
            **{**client_options(self._kafka, self._client_id), "enable_auto_commit": False, **options}
        )
