"""Make the topics that are missing, the inbox of an instance among them.

``create_topics`` of aiokafka does not raise when a broker refuses: the reasons are in ``topic_errors``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)
from dialog_schemas.topics import TOPICS, Cleanup, Partitions, Topic

from dialog_runtime.bus.client import client_options
from dialog_runtime.bus.errors import BusTimeoutError
from dialog_runtime.bus.names import Names
from dialog_runtime.config.services import Kafka

log = structlog.get_logger(__name__)

_RETRY = 0.25
"""Seconds between attempts while the broker is away."""

_GIVE_UP_ON = {"TopicAuthorizationFailedError", "ClusterAuthorizationFailedError", "InvalidTopicError"}


async def ensure_topics(kafka: Kafka, topics: Iterable[Topic] = TOPICS, *, within: float = 120) -> None:
    """Create those of ``topics`` that are missing; what is there is left as it is.

    Waits up to ``within`` seconds for the broker, then raises :class:`BusTimeoutError`.
    """
    wanted = list(topics)
    try:
        async with asyncio.timeout(within):
            while wanted := await _attempt(kafka, wanted):  # noqa: ASYNC110  nobody could tell us
                await asyncio.sleep(_RETRY)
    except TimeoutError as error:
        names = ", ".join(topic.name for topic in wanted)
        raise BusTimeoutError(f"no Kafka at {','.join(kafka.bootstrap_servers)} to make the topics {names}") from error


@asynccontextmanager
async def _admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(kafka, "dialog-sip-topics"))
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _attempt(kafka: Kafka, topics: list[Topic]) -> list[Topic]:
    """Return those that have to be tried again."""
    names = Names(kafka.topic_prefix)
    try:
        async with _admin(kafka) as admin:
            missing = set(map(names.full, topics)) - set(await admin.list_topics())
            new = [topic for topic in topics if names.full(topic) in missing]
            if not new:
                return []
            answer = await admin.create_topics([new_topic(kafka, topic) for topic in new])
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("topics wait for Kafka", error=type(error).__name__)
        return topics
    refused = {name: for_code(code) for name, code, *_ in answer.topic_errors}
    return [topic for topic in new if not _settled(topic, refused.get(names.full(topic), NoError))]


def _settled(topic: Topic, error: type[KafkaError]) -> bool:
    if error in {NoError, TopicAlreadyExistsError}:
        return True
    log.warning("topic not made", topic=topic.name, error=error.__name__)
    # Where the cluster's own administrators make the topics there is nothing to try again.
    return error.__name__ in _GIVE_UP_ON


def new_topic(kafka: Kafka, topic: Topic) -> NewTopic:
    """Return the request that makes ``topic`` as the contract says."""
    return NewTopic(
        name=Names(kafka.topic_prefix).full(topic),
        num_partitions=1 if topic.partitions is Partitions.ONE else kafka.partitions,
        replication_factor=kafka.replication_factor,
        # Without a mapping here NewTopic refuses -1, the broker's own default.
        replica_assignments={} if kafka.replication_factor == -1 else None,
        topic_configs=_configs(topic),
    )


def _configs(topic: Topic) -> dict[str, str]:
    policies = [topic.cleanup.value]
    configs: dict[str, str] = {}
    if topic.cleanup is Cleanup.COMPACT:
        # Only closed segments are compacted: small ones keep a restore short. 100,000 registrations of 60 s write
        # 1 MB a second; six partitions of 8 MB then hold 90,000 records that nobody needs, not 700,000.
        configs |= {"segment.bytes": str(8 << 20), "segment.ms": _ms(timedelta(hours=1))}
        configs["min.cleanable.dirty.ratio"] = "0.1"
        if topic.retention is not None:
            policies.append(Cleanup.DELETE.value)
    if topic.retention is not None:
        configs["retention.ms"] = _ms(topic.retention)
        configs["segment.ms"] = _ms(max(min(topic.retention / 2, timedelta(days=1)), timedelta(minutes=1)))
    return configs | {"cleanup.policy": ",".join(policies)}


def _ms(length: timedelta) -> str:
    return str(int(length / timedelta(milliseconds=1)))
