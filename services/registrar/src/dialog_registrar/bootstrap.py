"""The one place that wires the registrar."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from random import Random
from uuid import NAMESPACE_URL, uuid5

from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import event_of
from dialog_runtime.clock import Clock
from dialog_runtime.config.settings import Settings
from dialog_runtime.health import Check, Health
from dialog_runtime.heartbeat import Load
from dialog_runtime.service import Service
from dialog_schemas.instances import CallHeld
from dialog_schemas.registrations import RegistrationState
from dialog_schemas.topics import CALL_DIRECTORY, MAPPINGS, REGISTRATIONS
from dialog_sip import Request, Response
from dialog_sip.registration import RegistrationSettings

from dialog_registrar import handlers
from dialog_registrar.adapters.kafka import KafkaBridges, MappingsOwner, relay_of
from dialog_registrar.adapters.postgres import PostgresPasswords
from dialog_registrar.adapters.sip import SipFlows
from dialog_registrar.census import Census
from dialog_registrar.edge.context import Edge
from dialog_registrar.edge.incoming import Incoming
from dialog_registrar.edge.outgoing import Outgoing
from dialog_registrar.handlers import Registrar
from dialog_registrar.meters import Meters
from dialog_registrar.model.attempts import Attempts
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.leases import Leases
from dialog_registrar.model.mapping import Server
from dialog_registrar.model.pacing import Pacer
from dialog_registrar.model.routes import Routes
from dialog_registrar.model.status import Moment
from dialog_registrar.passwords import PasswordReader
from dialog_registrar.ports import ServerTransaction
from dialog_registrar.pump import Pump
from dialog_registrar.statuses import FLUSH_WITHIN, StatusPublisher

GROUP = "registrar"
"""Consumer group, and start of the transactional ids."""


async def build(service: Service) -> None:
    """Wire a registrar and start its parts."""
    rng = Random(secrets.randbits(64))  # noqa: S311  jitter, no secret
    meters = Meters(service.metrics)
    engine = _engine(service, rng)
    events = _FlowEvents()
    flows = SipFlows(service.settings.sip.registrar, events, trace_level=service.settings.sip.trace_level)
    statuses = StatusPublisher(engine, service.bus.publisher)
    routes = Routes()
    leases = Leases(
        lambda partition: ownership.may_act(partition),  # noqa: PLW0108  it is not there yet
        lambda: _is_away(service.health, "kafka"),
        service.clock.monotonic,
    )
    attempts = Attempts(engine, leases.may_send)
    pump = Pump(engine, attempts, flows, flows, meters, now=service.clock.monotonic)
    edge = Edge(
        service.instance,
        _user_agent(),
        flows,
        KafkaBridges(service.bus.publisher, service.incarnation),
        engine,
        routes,
        meters,
        service.clock.monotonic,
        by_to=service.settings.sip.dialog_ignore_contact_field,
    )
    registrar = Registrar(engine, edge, Outgoing(edge), Incoming(edge), pump)
    events.registrar = registrar
    pump.edges = registrar.incoming, registrar.outgoing
    passwords = PostgresPasswords(service.settings.postgresql, service.settings.sip.provisioner.table)
    reader = PasswordReader(engine, passwords, pump, meters, rng)
    pump.news += [reader.look, statuses.look]

    service.supervisor.start("flows", flows)
    service.supervisor.start("pump", pump)
    service.supervisor.start("passwords", reader)
    service.supervisor.start("statuses", statuses)
    service.bus.view(CALL_DIRECTORY, event_of(CallHeld), routes.held)
    inbox = service.bus.inbox(_inbox(registrar))
    await inbox.ready()
    ownership = service.bus.own(GROUP, MAPPINGS, REGISTRATIONS, MappingsOwner(registrar, leases, statuses.let_go))
    edge.taking = lambda: ownership.taking
    statuses.through(ownership)
    await ownership.ready()
    _observe(service, registrar, flows, reader)
    service.drain_within = FLUSH_WITHIN + 1
    service.drain.append(statuses.flush)


class _FlowEvents:
    """Takes what flows report to the handlers. The registrar is there before the first flow is."""

    registrar: Registrar

    def flow_up(self, server: Server, address: str) -> None:
        handlers.flow_up(self.registrar, server, address)

    def flow_down(self, server: Server) -> None:
        handlers.flow_down(self.registrar, server)

    def flow_failed(self, server: Server, why: str) -> None:
        handlers.flow_failed(self.registrar, server, why)

    def flow_closed(self, server: Server) -> None:
        handlers.flow_closed(self.registrar, server)

    def silence_ended(self, server: Server, seconds: float) -> None:
        handlers.silence_ended(self.registrar, server, seconds)

    def request_received(self, server: Server, transaction: ServerTransaction) -> None:
        handlers.sip_request_received(self.registrar, server, transaction)

    def success_received(self, server: Server, response: Response) -> None:
        handlers.sip_success_received(self.registrar, server, response)

    def cancel_received(self, transaction: ServerTransaction, cancel: Request) -> None:
        handlers.sip_cancel_received(self.registrar, transaction, cancel)

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        handlers.sip_ack_timed_out(self.registrar, transaction)


def _engine(service: Service, rng: Random) -> Engine:
    register, config = service.settings.sip.register_, service.settings.sip.registrar
    return Engine(
        RegistrationSettings(
            expires=max(1, round(register.expires.total_seconds())),
            interval=register.interval.total_seconds(),
            user_agent=_user_agent(),
            instance=_instance(service.settings) if config.outbound else None,
        ),
        Pacer[Server, Entry](config.max_in_flight, config.max_in_flight_per_server),
        lambda: _moment(service.clock),
        instance=service.instance,
        new_call_id=lambda: secrets.token_hex(12),
        rng=rng,
        now=service.clock.monotonic,
    )


def _instance(settings: Settings) -> str:
    """Return what all registrars of a table say they are: whoever takes over replaces the flow of the one before."""
    database = settings.postgresql
    name = f"dialog-sip:{database.host}:{database.port}/{database.db}/{settings.sip.provisioner.table}"
    return uuid5(NAMESPACE_URL, name).urn


def _moment(clock: Clock) -> Moment:
    return Moment(clock.monotonic(), clock.utcnow())


def _inbox(registrar: Registrar) -> Callable[[Record], Awaitable[None]]:
    async def handle(record: Record) -> None:
        relay_of(registrar, record)

    return handle


def _is_away(health: Health, name: str) -> bool:
    return not health.report()[1]["checks"][name]["ok"]


def _user_agent() -> str:
    return f"dialog-sip/{version('dialog-registrar')}"


def _observe(service: Service, registrar: Registrar, flows: SipFlows, reader: PasswordReader) -> None:
    """Give health pages, metrics and heartbeats something to show."""
    engine = registrar.engine
    service.load = lambda: Load(load=len(engine.holdings))
    service.health.add("postgresql", lambda: Check(ok=not reader.away, detail=reader.away))
    service.health.add("flows", lambda: Check(ok=flows.up == flows.wanted, detail=f"{flows.up} of {flows.wanted} up"))
    watch = service.metrics.watch
    watch("registers_in_flight", "REGISTERs without a final response yet.", lambda: engine.pacer.in_flight)
    watch("registers_waiting", "REGISTERs that wait for their turn.", lambda: engine.pacer.waiting)
    watch("sip_transactions", "SIP transactions that are under way.", lambda: flows.transactions)
    watch("sip_malformed", "Messages of PBXs that could not be read, since the start.", lambda: flows.malformed)
    watch("relays_to_pbx", "Requests of bridges that are under way.", lambda: len(registrar.outgoing))
    watch("relays_to_bridges", "Requests of PBXs that wait for a bridge.", lambda: len(registrar.incoming))
    watch("sip_routes", "SIP dialogs whose bridge is known.", lambda: len(registrar.edge.routes))
    census = Census(engine, service.clock)
    states = service.metrics.gauge("registrations", "Mappings held here, by state.", ["state"])
    for state in RegistrationState:
        states.labels(state.value).set_function(partial(census.count, state))
