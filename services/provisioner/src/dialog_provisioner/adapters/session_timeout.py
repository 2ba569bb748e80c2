"""Which session timeout the broker lets a consumer group have.

Asked beforehand, because Faust does not notice when a broker refuses one: its consumer just never joins.
"""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from dialog_runtime.bus.client import client_options
from dialog_runtime.config.services import Kafka

LEAST = "group.min.session.timeout.ms"
EVERY_BROKER_TAKES = 6.0
"""Seconds: the least of a broker that is not told otherwise, and what is used where the broker does not tell."""
_WITHIN = 5.0

log = structlog.get_logger()


async def session_timeout(kafka: Kafka) -> float:
    """Return the configured session timeout, or the least that the broker takes, in seconds."""
    wanted = kafka.session_timeout.total_seconds()
    if wanted >= EVERY_BROKER_TAKES:
        return wanted
    try:
        async with asyncio.timeout(_WITHIN):
            least = await _least(kafka)
    except (KafkaError, OSError, TimeoutError, LookupError, ValueError) as error:
        log.info("the broker does not tell its least session timeout", error=type(error).__name__)
        least = EVERY_BROKER_TAKES
    if least > wanted:
        log.warning("session timeout is longer than configured", configured=wanted, used=least, broker_setting=LEAST)
    return max(wanted, least)


async def _least(kafka: Kafka) -> float:
    admin = AIOKafkaAdminClient(**client_options(kafka, "dialog-sip-provisioner"))
    try:
        await admin.start()
        broker = (await admin.describe_cluster())["brokers"][0]["node_id"]
        asked = ConfigResource(ConfigResourceType.BROKER, str(broker), configs={LEAST: ""})
        (answer,) = await admin.describe_configs([asked])
    finally:
        await admin.close()
    # A resource is (error code, message, type, name, entries), an entry (name, value, ...).
    ((_, value, *_),) = answer.resources[0][4]
    return int(value) / 1000
