"""A service as a process: arguments, exit codes, signals, pages and heartbeats."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dialog_runtime.bus import event_of
from dialog_schemas.instances import Heartbeat
from dialog_schemas.topics import INSTANCES
from fixtures.bus import BusClient
from fixtures.servers import Kafka

pytestmark = pytest.mark.needs("kafka")

PROGRAM = """
import asyncio, sys
from dialog_runtime.heartbeat import Load
from dialog_runtime.service import Service, run
from dialog_schemas.instances import ServiceName

async def build(service: Service) -> None:
    mode = service.settings.sip.autocreate.user_prefix
    service.load = lambda: Load(7, 10)
    if mode == "broken":
        raise RuntimeError("cannot be built")
    if mode == "crash":
        async def crash() -> None:
            raise RuntimeError("boom")
        service.supervisor.spawn("crasher", crash())
        await asyncio.Event().wait()
    if mode == "drain":
        service.drain_within = 60
        service.drain.append(asyncio.Event().wait)

run(ServiceName.BRIDGE, build)
"""


@dataclass
class Running:
    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def until(self, event: str) -> dict[str, object]:
        """Return the log line with this event."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line)
                if line.startswith("{") and json.loads(line)["event"] == event:
                    return json.loads(line)
        raise AssertionError(f"no {event!r} in {self.lines}")

    async def end(self) -> tuple[int, str]:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            rest = (await self.process.stderr.read()).decode()
            return await self.process.wait(), rest


class Starter:
    def __init__(self, folder: Path, kafka: Kafka) -> None:
        self.folder = folder
        self.kafka = kafka
        self.started: list[Running] = []

    async def __call__(self, *arguments: str, mode: str = "", bootstrap: str | None = None) -> Running:
        conf = self.folder / "server.conf"
        conf.write_text(
            'modules.sip.extension = "im.dlg.sip.extension.SipExtension"\n'
            f'modules.sip.autocreate.user-prefix = "{mode}"\n'
            f'services.kafka {{ bootstrap-servers = "{bootstrap or self.kafka.bootstrap}"\n'
            f'topic-prefix = "{self.kafka.prefix}" }}\n'
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, "--conf", str(conf), "--instance", "b1", *arguments,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.started.append(Running(process))
        return self.started[-1]


@pytest.fixture
async def start(tmp_path: Path, kafka: Kafka) -> AsyncIterator[Starter]:
    starter = Starter(tmp_path, kafka)
    yield starter
    for running in starter.started:
        if running.process.returncode is None:
            running.process.kill()
            await running.process.wait()


async def get(http: object, path: str) -> tuple[int, bytes]:
    host, port = str(http).rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_a_life(start: Starter, kafka_bus: BusClient) -> None:
    beats: asyncio.Queue[Heartbeat | None] = asyncio.Queue()
    view = kafka_bus.bus.view(INSTANCES, event_of(Heartbeat), lambda _, beat: beats.put_nowait(beat))
    await view.ready()
    running = await start()
    ready = await running.until("ready")
    beat = await asyncio.wait_for(beats.get(), 10)
    assert beat is not None
    assert (beat.instance, beat.load, beat.http) == ("b1", 7, ready["http"])
    assert (await get(ready["http"], "/readyz"))[0] == 200
    status, body = await get(ready["http"], "/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert b"dialog_sip_records_pending" in (await get(ready["http"], "/metrics"))[1]
    running.process.send_signal(signal.SIGTERM)
    assert (await running.end())[0] == 0
    while await asyncio.wait_for(beats.get(), 10) is not None:
        pass
    assert len(view) == 0


async def test_a_drain_is_told_and_a_second_signal_ends_it(start: Starter) -> None:
    running = await start(mode="drain")
    ready = await running.until("ready")
    running.process.send_signal(signal.SIGINT)
    await running.until("stopping")
    assert (await get(ready["http"], "/readyz"))[0] == 503
    running.process.send_signal(signal.SIGTERM)
    assert (await running.end())[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize(("mode", "words"), [("crash", "crasher failed"), ("broken", "cannot be built")])
async def test_a_crash_is_told_and_ends_the_service(start: Starter, mode: str, words: str) -> None:
    code, log = await (await start(mode=mode)).end()
    assert code == 1
    assert words in log


async def test_without_kafka_it_stays_up_says_so_and_can_be_stopped(start: Starter) -> None:
    http = "127.0.0.1:0"
    running = await start("--http", http, bootstrap="127.0.0.1:1")
    await running.until("topics wait for Kafka")
    running.process.send_signal(signal.SIGTERM)
    assert (await running.end())[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--http", "nonsense"), "--http: 'nonsense': allowed is HOST:PORT"),
        (("--log-level", "loud"), "--log-level: 'loud': allowed is one of debug"),
        (("--instance", "a b"), "--instance: 'a b': allowed are"),
        (("--conf", "/nowhere/server.conf"), "/nowhere/server.conf: cannot be read"),
    ],
)
async def test_wrong_arguments(start: Starter, arguments: tuple[str, ...], words: str) -> None:
    code, said = await (await start(*arguments)).end()
    assert code == 2
    assert said.startswith(f"dialog-bridge: {words}")
    assert said.count("\n") == 1
