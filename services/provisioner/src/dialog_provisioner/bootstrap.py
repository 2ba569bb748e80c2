"""The one place that wires the provisioner."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.config.modules import Autocreate
from dialog_runtime.config.services import Postgresql
from dialog_runtime.config.settings import Settings
from dialog_runtime.health import Check
from dialog_runtime.heartbeat import Load
from dialog_runtime.service import Service
from dialog_schemas.topics import DEAD_LETTERS, USERS

from dialog_provisioner.adapters.faust_users import UserStream
from dialog_provisioner.adapters.mappings import MappingTopic
from dialog_provisioner.adapters.postgres.connection import Connections, Database
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
    """The running parts, as tests look at them."""

    status: Status
    users: UserStream
    topic: MappingTopic


async def build(service: Service) -> None:
    """Be the ``build`` of the service runner."""
    await wire(service)


async def wire(service: Service) -> Provisioner:
    """Start every part. What they connect to may be away: they wait for it."""
    settings, bus, supervisor = service.settings, service.bus, service.supervisor
    database, table = database_of(settings.postgresql), settings.sip.provisioner.table
    connections = await Connections.prepared(database, CONNECTIONS)
    dirty, status = Dirty(), Status()
    topic = MappingTopic(bus, dirty, service.clock)
    leadership = PostgresLeadership(database, table, dirty)
    rows, pace = PostgresRows(connections.pool, table), pace_of(settings)
    watch = Watch(rows, topic, leadership, dirty, pace, status, service.clock)
    handlers = Handlers(PostgresUsers(connections.pool, table), rules_of(settings.sip.autocreate))
    users = UserStream(
        settings.kafka,
        bus.processor(handlers.handle_record),
        lambda: ensure_topics(settings.kafka, [USERS, DEAD_LETTERS]),
    )
    supervisor.start("connections", connections)
    supervisor.start("watch", watch)
    supervisor.start("users", users)
    provisioner = Provisioner(status, users, topic)
    _tell(service, provisioner)
    return provisioner


def _tell(service: Service, provisioner: Provisioner) -> None:
    """Show what goes on in health, metrics and heartbeats."""
    status, users, topic = provisioner.status, provisioner.users, provisioner.topic
    service.health.add("table", lambda: Check(status.trouble is None, status.trouble or status.watch.value))
    service.health.add("users", lambda: Check(users.is_reading, "" if users.is_reading else "not reading"))
    watch = service.metrics.watch
    watch("watch_leads", "1 where this process leads the watch of the table", lambda: float(status.leads))
    watch("watch_trouble", "1 while the watch is interrupted", lambda: float(status.trouble is not None))
    watch("mappings", "Mappings on sip.mappings, those that are rejected included", lambda: float(topic.size))
    watch("mapping_records", "Records published on sip.mappings since the start", lambda: float(status.records))
    watch("users_reading", "1 while topic users is read", lambda: float(users.is_reading))
    service.load = lambda: Load(float(topic.size) if status.leads else 0.0)


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
