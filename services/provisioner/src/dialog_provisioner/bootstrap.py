"""The one place that wires the provisioner."""

from __future__ import annotations

import json
from dataclasses import dataclass

import asyncpg
from dialog_runtime.bus.ports import Bus
from dialog_runtime.bus.process import Processor
from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.clock import Clock, SystemClock
from dialog_runtime.config.modules import Autocreate
from dialog_runtime.config.services import Postgresql
from dialog_runtime.config.settings import Settings
from dialog_runtime.supervise import Supervisor
from dialog_schemas.topics import DEAD_LETTERS, USERS

from dialog_provisioner.adapters.faust_users import UserStream
from dialog_provisioner.adapters.mappings import MappingTopic
from dialog_provisioner.adapters.postgres.connection import Database
from dialog_provisioner.adapters.postgres.leadership import PostgresLeadership
from dialog_provisioner.adapters.postgres.rows import PostgresRows
from dialog_provisioner.adapters.postgres.users import PostgresUsers
from dialog_provisioner.dirty import Dirty
from dialog_provisioner.handlers import Handlers
from dialog_provisioner.model.autocreate import AutocreateRules
from dialog_provisioner.status import Status
from dialog_provisioner.watch import Pace, Watch

CONNECTIONS = 4
"""Connections to PostgreSQL for statements; one more holds the lead, or waits for it."""


@dataclass(frozen=True, slots=True)
class Provisioner:
    """The running parts, for health and metrics."""

    status: Status
    users: UserStream
    topic: MappingTopic
    pool: asyncpg.Pool[asyncpg.Record]

    async def close(self) -> None:
        """Close what no part owns; call it when all parts have ended."""
        self.pool.terminate()


async def start(settings: Settings, bus: Bus, supervisor: Supervisor, clock: Clock | None = None) -> Provisioner:
    """Start every part. What they connect to may be away: they wait for it."""
    database, table = database_of(settings.postgresql), settings.sip.provisioner.table
    pool, dirty, status = await database.pool(CONNECTIONS), Dirty(), Status()
    topic = MappingTopic(bus, dirty, clock or SystemClock())
    leadership = PostgresLeadership(database, table, dirty)
    watch = Watch(PostgresRows(pool, table), topic, leadership, dirty, pace_of(settings), status)
    handlers = Handlers(PostgresUsers(pool, table), rules_of(settings.sip.autocreate))
    users = UserStream(
        settings.kafka,
        Processor(handlers.handle_record, bus.publisher.dead_letter),
        lambda: ensure_topics(settings.kafka, [USERS, DEAD_LETTERS]),
    )
    supervisor.start("watch", watch)
    supervisor.start("users", users)
    return Provisioner(status, users, topic, pool)


def database_of(postgresql: Postgresql) -> Database:
    """Return where the table is."""
    return Database(postgresql.host, postgresql.port, postgresql.db, postgresql.user, postgresql.password)


def pace_of(settings: Settings) -> Pace:
    """Return how often the table is looked at."""
    provisioner = settings.sip.provisioner
    return Pace(
        with_triggers=provisioner.reconcile_interval.total_seconds(), without=provisioner.poll_interval.total_seconds()
    )


def rules_of(autocreate: Autocreate) -> AutocreateRules:
    """Return ``modules.sip.autocreate`` as the rows need it."""
    return AutocreateRules(
        on=autocreate.on,
        host=autocreate.host,
        port=autocreate.port,
        parameters=json.dumps(autocreate.parameters),
        headers=json.dumps(autocreate.headers),
        register=autocreate.register_,
        can_call=autocreate.can_call,
        can_be_called=autocreate.can_be_called,
        user_prefix=autocreate.user_prefix,
        password=autocreate.password.get_secret_value(),
    )
