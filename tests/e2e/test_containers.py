"""The services on a Kafka and a PostgreSQL in containers, as testcontainers starts them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from dialog_console.adapters.pbx import PbxPages
from dialog_console.cli.bus import joined, kafka_settings
from dialog_console.demo.messenger import Messenger
from dialog_console.demo.scenario import Demo, Script
from dialog_sandbox.stack import Options, Stack
from dialog_sandbox.stack.temporary import temporary_state

pytestmark = [pytest.mark.needs("docker")]

KAFKA_IMAGE = "apache/kafka:4.1.1"
POSTGRES_IMAGE = "postgres:17-trixie"
READY_WITHIN = 90

_START_KAFKA = """\
while [ ! -f /tmp/advertised ]; do sleep 0.1; done
export KAFKA_ADVERTISED_LISTENERS=OUTSIDE://$(cat /tmp/advertised),INSIDE://localhost:9093
exec /etc/kafka/docker/run
"""
"""The mapped port is known only once the container runs: it waits for a file that says it."""

_KAFKA_ENV = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": "OUTSIDE://:9092,INSIDE://:9093,CONTROLLER://:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
}


@dataclass(frozen=True)
class Servers:
    """Where the containers are reached."""

    kafka: str
    postgres: str
    """HOCON of ``services.postgresql``."""


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Kafka and PostgreSQL in containers of this test's own."""
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    kafka = DockerContainer(KAFKA_IMAGE).with_exposed_ports(9092).with_command(["bash", "-c", _START_KAFKA])
    for name, value in _KAFKA_ENV.items():
        kafka = kafka.with_env(name, value)
    postgres = PostgresContainer(POSTGRES_IMAGE, username="dialog", password="container-secret", dbname="dialog")
    with kafka, postgres:
        address = f"{kafka.get_container_host_ip()}:{kafka.get_exposed_port(9092)}"
        kafka.exec(["bash", "-c", f"echo {address} > /tmp/advertised.new && mv /tmp/advertised.new /tmp/advertised"])
        started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(READY_WITHIN)
        started.wait_until_ready(kafka)
        host, port = postgres.get_container_host_ip(), postgres.get_exposed_port(5432)
        yield Servers(
            address,
            f'{{ host = "{host}", port = {port}, db = "dialog", user = "dialog", password = "container-secret" }}',
        )


async def test_the_demo_on_containers(servers: Servers) -> None:
    conf = f'services.kafka.bootstrap-servers = "{servers.kafka}"\nservices.postgresql {servers.postgres}\n'
    with temporary_state() as state:
        options = Options(state=state, without=frozenset({"kafka", "postgres", "console"}), extra_conf=conf)
        async with Stack(options) as stack, joined(kafka_settings(stack.conf, "", "")) as bus:
            messenger, script = Messenger(bus), Script(tell=lambda _: None)
            await messenger.ready()
            assert stack.pbx_control is not None
            async with asyncio.timeout(90):
                await Demo(messenger, PbxPages(stack.pbx_control), script).run()
            assert script.ok
