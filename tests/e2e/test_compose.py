"""``docker compose up`` with two of each service: healthy, the demo passes, and each instance carries a part."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from dialog_console.adapters.pbx import PbxPages
from dialog_console.cli.bus import joined, kafka_settings
from dialog_console.demo.messenger import Call, Messenger
from dialog_console.demo.scenario import Demo, Script
from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.bus.view import event_of
from dialog_sandbox.paths import PortBook
from dialog_schemas.calls import Answered, Ended
from dialog_schemas.instances import CallHeld
from dialog_schemas.topics import CALL_DIRECTORY

pytestmark = [pytest.mark.needs("docker")]

ROOT = Path(__file__).parents[2]
BUILD_WITHIN, UP_WITHIN, DOWN_WITHIN = 1200, 240, 90
USERS = range(600, 612)
"""Enough that twelve partitions over two registrars leave neither without one."""


@dataclass(frozen=True)
class Compose:
    """One project of its own, on ports of its own."""

    project: str
    kafka: str
    pbx: str
    env: dict[str, str]

    def run(self, *arguments: str, within: float) -> str:
        """Run ``docker compose``; a failure shows what it printed."""
        command = ["docker", "compose", "--project-name", self.project, "--profile", "demo", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=within, check=False
        )
        if done.returncode:
            pytest.fail(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}", pytrace=False)
        return done.stdout


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    """The composed system, two registrars and two bridges in it."""
    book = PortBook()
    ports = {name: str(book.take()) for name in ("KAFKA_PORT", "POSTGRES_PORT", "CONSOLE_PORT", "PBX_HTTP_PORT")}
    it = Compose(
        f"dialog-sip-{secrets.token_hex(4)}",
        f"127.0.0.1:{ports['KAFKA_PORT']}",
        f"http://127.0.0.1:{ports['PBX_HTTP_PORT']}",
        {**os.environ, **ports},
    )
    try:
        it.run("build", within=BUILD_WITHIN)
        it.run("up", "--wait", "--scale", "registrar=2", "--scale", "bridge=2", within=UP_WITHIN)
        yield it
    finally:
        it.run("down", "--volumes", "--timeout", "20", within=DOWN_WITHIN)


@asynccontextmanager
async def messenger_of(compose: Compose) -> AsyncIterator[tuple[KafkaBus, Messenger]]:
    async with joined(kafka_settings(None, compose.kafka, "dialog.")) as bus:
        messenger = Messenger(bus, loopback=False)
        await messenger.ready()
        yield bus, messenger


def test_every_service_is_healthy(compose: Compose) -> None:
    lines = compose.run("ps", "--format", "json", within=30).splitlines()
    services = [json.loads(line) for line in lines]
    assert sorted(service["Service"] for service in services) == [
        "bridge", "bridge", "console", "kafka", "pbx", "postgres", "provisioner", "registrar", "registrar",
    ]  # fmt: skip
    assert {service["Health"] for service in services} == {"healthy"}


async def test_the_demo(compose: Compose) -> None:
    script = Script(tell=lambda _: None)
    async with messenger_of(compose) as (_, messenger), asyncio.timeout(90):
        await Demo(messenger, PbxPages(compose.pbx), script).run()
    assert script.ok


async def test_registrars_and_bridges_share_the_work(compose: Compose) -> None:
    async with messenger_of(compose) as (bus, messenger), asyncio.timeout(120):
        directory = bus.view(CALL_DIRECTORY, event_of(CallHeld))
        await directory.ready()
        for user_id in USERS:
            await messenger.create_user(user_id, "")
        statuses = [await messenger.registered(user_id) for user_id in USERS]
        calls = [await answered(messenger, user_id) for user_id in USERS[:6]]
        holders = {held.instance for call in calls if (held := directory.get(call.call_id))}
        for call in calls:
            await messenger.hang_up(call)
            await call.until(Ended)
            await call.client.close()
        assert len({status.owner for status in statuses}) == 2
        assert len(holders) == 2
        for user_id in USERS:
            await messenger.delete_user(user_id)


async def answered(messenger: Messenger, user_id: int) -> Call:
    call = await messenger.call(user_id, "echo", messenger.client())
    await call.until(Answered)
    return call
