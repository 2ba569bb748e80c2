"""The configuration of the one-node Kafka, as pure functions.

What is not obvious: ``broker.session.timeout.ms`` and ``broker.heartbeat.interval.ms`` are short, because after
``kill -9`` the broker cannot register again before its former session ends (9 s by default).
``group.initial.rebalance.delay.ms=0`` and the low minimum session timeout let a consumer start, and a dead one be
noticed, in test time. Internal topics get few partitions: 50 of each would cost more at every start than all else.
Topics are never created by accident: a service that forgets to create its own fails here as it does on a guarded
production cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CLUSTER_ID = "ZGlhbG9nLXNpcC1zYW5kYg"
"""A base64 uuid, as ``StorageTool`` wants it; the same for all, so that state can be formatted again in place."""

JVM_OPTIONS = (
    "-Xms48m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dlog4j2.level=WARN",
    "-Djava.awt.headless=true",
)
"""A small heap, and a compiler for short lives rather than long ones."""

_SETTINGS: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "300",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.index.size.max.bytes": "1048576",
}


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """What differs between two embedded brokers."""

    port: int
    """Port of 127.0.0.1 for clients."""
    controller_port: int
    """Port of 127.0.0.1 for the node's own quorum of one."""
    data: Path
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Further lines of ``server.properties``; they win."""

    @property
    def bootstrap(self) -> str:
        """Address for clients, ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def properties(self) -> str:
        """Return the text of ``server.properties``."""
        controller = f"127.0.0.1:{self.controller_port}"
        addresses = {
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(self.data),
        }
        settings = _SETTINGS | addresses | dict(self.overrides)
        return "".join(f"{name}={value}\n" for name, value in settings.items())
