"""The embedded Kafka against a real client: starts, restarts, crashes, and what its parent's death leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.kafka import EmbeddedKafka, answers

pytestmark = pytest.mark.needs("kafka")


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        assert [error[1] for error in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str, count: int, **options: Any) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", **options)
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_record_comes_back_with_a_group(kafka: Any) -> None:
    topic = kafka.prefix + "round-trip"
    await _create(kafka.bootstrap, topic)
    await _send(kafka.bootstrap, topic, b"hello")
    assert await _read(kafka.bootstrap, topic, 1, group_id=kafka.prefix + "group") == [b"hello"]


async def test_a_transaction_commits(kafka: Any) -> None:
    topic = kafka.prefix + "transaction"
    await _create(kafka.bootstrap, topic)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=kafka.prefix + "tx")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send(topic, b"inside")
    finally:
        await producer.stop()
    assert await _read(kafka.bootstrap, topic, 1, isolation_level="read_committed") == [b"inside"]


async def test_records_outlive_a_stop_and_a_kill(own_kafka: EmbeddedKafka) -> None:
    await _create(own_kafka.bootstrap, "kept")
    await _send(own_kafka.bootstrap, "kept", b"before the stop")
    own_kafka.stop()
    assert own_kafka.pid is None
    own_kafka.start()
    await _send(own_kafka.bootstrap, "kept", b"before the kill")
    own_kafka.kill()
    started = time.monotonic()
    await own_kafka.start_async()
    assert time.monotonic() - started < 8, "the former session held the broker up"
    assert await _read(own_kafka.bootstrap, "kept", 2) == [b"before the stop", b"before the kill"]


def test_a_second_object_takes_up_the_state(server_dir: Path) -> None:
    with EmbeddedKafka(server_dir) as first:
        port = first.port
    with EmbeddedKafka(server_dir, port) as second:
        assert answers(second.port, timeout=5)


def test_a_port_that_is_taken_is_told(server_dir: Path, kafka_server: EmbeddedKafka) -> None:
    with pytest.raises(SandboxError, match=f"port {kafka_server.port} .* is taken"):
        EmbeddedKafka(server_dir, kafka_server.port).start()


def test_nothing_is_left_when_the_parent_is_killed(server_dir: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from dialog_sandbox.kafka import EmbeddedKafka\n"
        "kafka = EmbeddedKafka(pathlib.Path(sys.argv[1])); kafka.start()\n"
        "print(kafka.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(server_dir)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        broker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    _wait_for_end(broker)


def _wait_for_end(pid: int) -> None:
    fd = os.pidfd_open(pid) if Path(f"/proc/{pid}").exists() else None
    if fd is None:
        return
    import select

    try:
        assert select.select([fd], [], [], 5)[0], f"process {pid} outlived its parent"
    finally:
        os.close(fd)
