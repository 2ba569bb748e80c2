"""``services.kafka.security`` against a broker that means it: SASL, TLS, the rights of docs/operating.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.bus.view import event_of
from dialog_runtime.config.services import Kafka as KafkaConfig
from dialog_runtime.supervise import Supervisor
from dialog_schemas.calls import Ended, Start
from dialog_schemas.event import Event
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.topics import CALL_COMMANDS, CALL_EVENTS, REGISTRATIONS, TOPICS, USERS, inbox
from dialog_schemas.users import UserCreated
from fixtures.kamailio import PASSWORD as SIP_PASSWORD
from fixtures.kamailio import KamailioFactory
from fixtures.secure_kafka import PASSWORD, Acl, Operation, Resource, SecureKafka
from fixtures.servers import Postgres

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")

WITHIN = 60.0
KINDS = [("SASL_PLAINTEXT", "PLAIN"), ("SASL_PLAINTEXT", "SCRAM-SHA-512"), ("SASL_SSL", "SCRAM-SHA-512")]
SERVICES = ("provisioner", "registrar", "bridge")
PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


class Part:
    """A service as a process, with its user of the broker."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def ready(self) -> None:
        async with asyncio.timeout(WITHIN):
            while '"event": "ready"' not in self.log:
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.05)

    async def stop(self) -> int:
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), WITHIN)


class Play:
    """Services of one topic prefix, each with a user of its own, and the test as the dialog server."""

    def __init__(self, kafka: SecureKafka, postgres: Postgres, folder: Path, kind: tuple[str, str]) -> None:
        self.kafka, self.postgres, self.folder, self.kind = kafka, postgres, folder, kind
        self.prefix = f"s{uuid4().hex[:8]}."
        self.parts: dict[str, Part] = {}
        self.statuses: asyncio.Queue[RegistrationStatus] = asyncio.Queue()
        self.calls: asyncio.Queue[Event] = asyncio.Queue()

    def config(self, user: str) -> dict[str, Any]:
        return {**self.kafka.config(user, *self.kind), "topic-prefix": self.prefix}

    async def start(self, service: str, pbx_port: int) -> Part:
        """Start a service and wait until it is ready."""
        postgresql = {
            "host": self.postgres.host, "port": self.postgres.port, "db": self.postgres.db,
            "user": self.postgres.user, "password": self.postgres.password,
        }  # fmt: skip
        autocreate = {"on": True, "host": "127.0.0.1", "port": pbx_port, "password": SIP_PASSWORD, "user-prefix": "d"}
        sip = {"extension": "im.dlg.sip.extension.SipExtension", "autocreate": autocreate}
        services = {"postgresql": postgresql, "kafka": self.config(service)}
        conf, log = self.folder / f"{service}.conf", self.folder / f"{service}.log"
        conf.write_text(json.dumps({"modules": {"sip": sip}, "services": services}))
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"dialog_{service}", "--conf", str(conf), "--instance", f"{service}-1",
                stdout=out, stderr=out, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        part = self.parts[service] = Part(process, log)
        await part.ready()
        return part

    @asynccontextmanager
    async def dialog(self) -> AsyncIterator[KafkaBus]:
        """Be the dialog server."""
        supervisor = Supervisor()
        config = KafkaConfig.model_validate(self.config("dialog"))
        bus = KafkaBus(config, service="dialog", instance="dialog-1", supervisor=supervisor)
        statuses = bus.view(REGISTRATIONS, event_of(RegistrationStatus), self._status)
        subscription = bus.consume("listener", [CALL_EVENTS], self._call)
        try:
            await asyncio.wait_for(statuses.ready(), WITHIN)
            await asyncio.wait_for(subscription.ready(), WITHIN)
            yield bus
        finally:
            await supervisor.stop(10)

    def _status(self, _aor: str, status: RegistrationStatus | None) -> None:
        if status is not None:
            self.statuses.put_nowait(status)

    async def _call(self, record: Record) -> None:
        self.calls.put_nowait(record.envelope().event)

    async def registered(self, user: str) -> None:
        async with asyncio.timeout(WITHIN):
            while True:
                status = await self.statuses.get()
                if status.aor.startswith(f"{user}@") and status.state is RegistrationState.REGISTERED:
                    return

    async def ended(self, call_id: str) -> Ended:
        async with asyncio.timeout(WITHIN):
            while True:
                event = await self.calls.get()
                if isinstance(event, Ended) and event.call_id == call_id:
                    return event

    async def close(self) -> None:
        for part in self.parts.values():
            if part.process.returncode is None:
                part.process.kill()
                await part.process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "services"
    made.mkdir()
    return made


@asynccontextmanager
async def playing(kafka: SecureKafka, postgres: Postgres, folder: Path, kind: tuple[str, str]) -> AsyncIterator[Play]:
    play = Play(kafka, postgres, folder, kind)
    try:
        yield play
    finally:
        await play.close()


async def make_topics(play: Play) -> None:
    """Make the topics, as an administrator of the cluster does."""
    address = {"bootstrap-servers": [play.kafka.server.bootstrap], "topic-prefix": play.prefix, "partitions": 2}
    inboxes = [inbox(f"{service}-1") for service in SERVICES]
    await ensure_topics(KafkaConfig.model_validate(address), [*TOPICS, *inboxes])


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_a_user_of_the_dialog_server_is_registered_over(
    secure_kafka: SecureKafka, postgres: Postgres, kamailio: KamailioFactory, folder: Path, kind: tuple[str, str]
) -> None:
    pbx = await kamailio()
    async with playing(secure_kafka, postgres, folder, kind) as play:
        rights = [Resource.TOPIC, Resource.GROUP, Resource.TRANSACTIONAL_ID]
        await make_topics(play)
        await secure_kafka.allow(
            Acl(user, operation, resource, f"{play.prefix}*")
            for user in ("dialog", *SERVICES)
            for resource in rights
            for operation in Operation
            if resource is not Resource.GROUP or operation is Operation.READ
        )
        for service in ("provisioner", "registrar"):
            await play.start(service, pbx.port)
        async with play.dialog() as dialog:
            await dialog.publisher.publish(USERS, "7", UserCreated(user_id=7))
            await play.registered("d7")
        assert [await part.stop() for part in play.parts.values()] == [0, 0]
        assert not any(PASSWORD in part.log for part in play.parts.values())


async def test_the_rights_of_the_page_are_enough_for_all_that_services_do(
    secure_kafka: SecureKafka, postgres: Postgres, kamailio: KamailioFactory, folder: Path
) -> None:
    pbx = await kamailio()
    async with playing(secure_kafka, postgres, folder, KINDS[1]) as play:
        await make_topics(play)
        await secure_kafka.allow(rights_of_the_page(PAGE.read_text(), play.prefix))
        for service in SERVICES:
            await play.start(service, pbx.port)
        async with play.dialog() as dialog:
            await dialog.publisher.publish(USERS, "7", UserCreated(user_id=7))
            await play.registered("d7")
            call = Start(call_id="call-1", user_id=7, to="nobody", sdp="v=0")
            await dialog.publisher.publish(CALL_COMMANDS, "call-1", call)
            await play.ended("call-1")
        assert [await part.stop() for part in play.parts.values()] == [0, 0, 0]
        for service, part in play.parts.items():
            # Topics that a service may not see it takes for missing, and may not make.
            refused = [line for line in part.log.splitlines() if "AuthorizationFailed" in line]
            assert [line for line in refused if "topic not made" not in line] == [], service


def rights_of_the_page(page: str, prefix: str) -> Iterator[Acl]:
    """Yield what the table of the page says, and nothing else."""
    table = re.search(r"\| principal \|.*?\n\n", page, re.DOTALL)
    assert table is not None
    for line in table[0].strip().splitlines()[2:]:
        principal, *columns = [cell.strip() for cell in line.strip("|").split("|")]
        users = SERVICES if principal == "every service" else (principal.split()[0],)
        for user in users:
            yield from _rights(user, columns, prefix)
    yield Acl("dialog", Operation.READ, Resource.GROUP, f"{prefix}listener")  # "its own"


def _rights(user: str, columns: list[str], prefix: str) -> Iterator[Acl]:
    columns = (columns + [""] * 4)[:4]
    kinds = (
        (Operation.WRITE, Resource.TOPIC), (Operation.READ, Resource.TOPIC),
        (Operation.READ, Resource.GROUP), (Operation.WRITE, Resource.TRANSACTIONAL_ID),
    )  # fmt: skip
    for (operation, resource), cell in zip(kinds, columns, strict=True):
        for name in re.findall(r"`P ([^`]+)`", cell):
            yield Acl(user, operation, resource, prefix + name)
