"""The provisioner while Kafka is away, and when it is killed: nothing is lost, nothing has to be restarted by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dialog_provisioner.adapters.faust_users import UserStream
from dialog_provisioner.adapters.session_timeout import session_timeout
from dialog_runtime.bus.topics import ensure_topics
from dialog_sandbox.kafka import EmbeddedKafka
from dialog_schemas.users import UserCreated

pytestmark = pytest.mark.needs("kafka", "postgres")


def _conf(provisioning: Any) -> str:
    postgres, kafka = provisioning.postgres, provisioning.kafka
    return f"""
modules.sip.extension = "im.dlg.sip.extension.SipExtension"
modules.sip.autocreate {{ on = true, host = pbx.example.com, password = "canary-8731", user-prefix = dialog }}
services.kafka {{ bootstrap-servers = "{kafka.bootstrap}", topic-prefix = "{kafka.prefix}" }}
services.postgresql {{ host = "{postgres.host}", port = {postgres.port}, db = {postgres.db} }}
services.postgresql {{ user = {postgres.user}, password = "{postgres.password}" }}
"""


@contextmanager
def _process(conf: Path, name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service as an operator would."""
    argv = [sys.executable, "-m", "dialog_provisioner", "--conf", str(conf), "--instance", name]
    with log.open("ab") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_kills_in_the_middle_of_the_work_lose_nothing(provisioning: Any, tmp_path: Path) -> None:
    conf, log = tmp_path / "server.conf", tmp_path / "log"
    conf.write_text(_conf(provisioning))
    async with provisioning.listening() as topic, provisioning.publisher() as dialog:
        sent = 0
        for round_ in range(3):
            with _process(conf, f"p{round_}", log) as process:
                for _ in range(100):
                    await provisioning.say(dialog, UserCreated(user_id=sent))
                    sent += 1
                some = sent - 60
                await topic.until(lambda last, some=some: len(last) >= some, within=40)
                process.send_signal(signal.SIGKILL)
        with _process(conf, "last", log) as process:
            await topic.until(lambda last: len(last) == sent, within=40)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 15) == 0
        assert len(await provisioning.rows()) == sent
    assert "canary" not in log.read_text()


async def test_a_stopped_leader_is_replaced_and_does_no_harm_when_it_wakes(provisioning: Any, tmp_path: Path) -> None:
    conf, log = tmp_path / "server.conf", tmp_path / "log"
    conf.write_text(_conf(provisioning))
    async with provisioning.listening() as topic:
        with _process(conf, "sleeper", log) as sleeper:
            await topic.until(lambda _: "leading the watch" in log.read_text())
            await topic.until(lambda _: '"triggers"' in log.read_text())
            async with provisioning.provisioner_running("other") as other:
                await provisioning.insert("1")
                await topic.until(lambda last: len(last) == 1)
                os.kill(sleeper.pid, signal.SIGSTOP)
                await provisioning.insert("2")
                assert await topic.until(lambda last: len(last) == 2) < 10
                os.kill(sleeper.pid, signal.SIGCONT)
                await provisioning.insert("3")
                await topic.until(lambda last: len(last) == 3)
                await topic.until(lambda _: "no longer leading" in log.read_text())
                assert other.status.leads
                assert len(topic.said) == 3


async def test_kafka_away_is_waited_for_and_caught_up(provisioning: Any, own_kafka: Any) -> None:
    provisioning.kafka = SimpleNamespace(bootstrap=own_kafka.bootstrap, prefix="dialog.")
    await ensure_topics(provisioning.settings().kafka)
    own_kafka.kill()
    async with provisioning.provisioner_running() as running:
        await asyncio.to_thread(own_kafka.start)
        async with provisioning.listening() as topic, provisioning.publisher() as dialog:
            await topic.until(lambda _: running.status.leads and running.users.is_reading, within=40)
            await provisioning.say(dialog, UserCreated(user_id=1))
            await topic.until(lambda last: len(last) == 1)
            own_kafka.kill()
            await provisioning.insert("434")
            await asyncio.to_thread(own_kafka.start)
            await provisioning.say(dialog, UserCreated(user_id=2))
            await topic.until(lambda last: len(last) == 3, within=40)


async def test_faust_is_built_anew_when_it_crashes(provisioning: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    apps: list[Any] = []
    build = UserStream._app
    monkeypatch.setattr(UserStream, "_app", lambda *args: apps.append(build(*args)) or apps[-1])
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running() as running,
        provisioning.publisher() as dialog,
    ):
        await topic.until(lambda _: running.users.is_reading)
        await apps[0].crash(RuntimeError("as Faust does when its producer fails"))
        await topic.until(lambda _: not running.users.is_reading)
        await provisioning.say(dialog, UserCreated(user_id=1))
        await topic.until(lambda last: len(last) == 1)
        assert len(apps) == 2


async def test_a_broker_with_a_longer_least_session_timeout_is_read_all_the_same(
    provisioning: Any, server_dir: Path
) -> None:
    with EmbeddedKafka(server_dir, settings={"group.min.session.timeout.ms": "6000"}) as strict:
        provisioning.kafka = SimpleNamespace(bootstrap=strict.bootstrap, prefix="dialog.")
        assert await session_timeout(provisioning.settings().kafka) == 6
        async with (
            provisioning.listening() as topic,
            provisioning.provisioner_running(),
            provisioning.publisher() as dialog,
        ):
            await provisioning.say(dialog, UserCreated(user_id=1))
            await topic.until(lambda last: len(last) == 1, within=30)
