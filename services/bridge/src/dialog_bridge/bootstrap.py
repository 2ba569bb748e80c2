"""Wires the bridge: the one place that knows which adapter gives which port."""

from __future__ import annotations

import secrets
from random import SystemRandom

from dialog_runtime.bus import Record, event_of
from dialog_runtime.config.modules import Sip
from dialog_runtime.heartbeat import Load
from dialog_runtime.service import Service
from dialog_schemas.instances import CallHeld, Heartbeat, ServiceName
from dialog_schemas.topics import CALL_COMMANDS, CALL_DIRECTORY, INSTANCES, SIP_REQUESTS
from dialog_sip.sip_dialog import SessionTimerSettings

from dialog_bridge import handlers
from dialog_bridge.adapters.media import MediaSettings, RelayEngine
from dialog_bridge.adapters.outbox import BusOutbox
from dialog_bridge.adapters.views import MappingsView, RegistrarsView
from dialog_bridge.desk import Desk
from dialog_bridge.directory import Directory
from dialog_bridge.meters import Meters
from dialog_bridge.model.call import Limits
from dialog_bridge.model.liveness import Liveness
from dialog_bridge.model.parcels import LegSettings
from dialog_bridge.ports import MediaEngine
from dialog_bridge.runner import Outside
from dialog_bridge.switchboard import END_WITHIN, Switchboard
from dialog_bridge.takeover import Takeover

GROUP = "bridge"
"""Consumer group of ``call.commands`` and ``sip.requests``."""


async def build(service: Service) -> None:
    """Wire and start the bridge."""
    await wire(service, RelayEngine(MediaSettings.of(service.settings.modules)))


async def wire(service: Service, media: MediaEngine) -> Desk:
    """Wire and start the bridge with this media engine."""
    bus, clock, calls = service.bus, service.clock, service.settings.sip.calls
    liveness = Liveness(service.instance)
    mappings, registrars = MappingsView(bus), RegistrarsView(bus)
    switchboard = Switchboard(
        service.instance,
        registrars,
        lambda instance: liveness.is_dead(instance, clock.monotonic()),
        liveness.incarnation_of,
    )
    directory = Directory(switchboard.moved)
    meters = Meters(service.metrics, lambda: len(switchboard))
    outbox = BusOutbox(bus.publisher)
    outside = Outside(
        service.instance, clock, outbox, media, registrars, meters, switchboard.finished, liveness.incarnation_of
    )
    desk = Desk(
        instance=service.instance,
        clock=clock,
        outbox=outbox,
        mappings=mappings,
        registrars=registrars,
        directory=directory,
        liveness=liveness,
        switchboard=switchboard,
        outside=outside,
        meters=meters,
        own=lambda: _own(service, len(switchboard)),
        token=lambda: secrets.token_hex(16),
        random=SystemRandom(),
        limits=Limits(ring=calls.ring_timeout.total_seconds()),
        legs=_legs(service.settings.sip),
    )
    service.load = lambda: Load(len(switchboard), calls.max_calls)
    patience = calls.drain_timeout.total_seconds()
    service.drain.append(lambda: switchboard.drain(patience))
    service.drain_within = patience + END_WITHIN + 1
    await _start(service, desk, mappings, registrars)
    return desk


async def _start(service: Service, desk: Desk, mappings: MappingsView, registrars: RegistrarsView) -> None:
    bus = service.bus
    instances = bus.view(INSTANCES, lambda record: _heard(desk, record), lambda key, value: _left(desk, key, value))
    directory = bus.view(CALL_DIRECTORY, event_of(CallHeld), desk.directory.apply)
    for view in (mappings.view, registrars.view, instances, directory):
        await view.ready()
    service.supervisor.start("calls", desk.switchboard)
    service.supervisor.start("takeover", Takeover(desk))
    inbox = bus.inbox(lambda record: handlers.inbox(desk, record))
    await inbox.ready()
    shared = bus.consume(GROUP, (CALL_COMMANDS, SIP_REQUESTS), lambda record: _shared(desk, record))
    await shared.ready()


async def _shared(desk: Desk, record: Record) -> None:
    if record.topic == SIP_REQUESTS.name:
        await handlers.sip_request(desk, record)
    else:
        await handlers.call_command(desk, record)


def _heard(desk: Desk, record: Record) -> Heartbeat:
    heartbeat = event_of(Heartbeat)(record)
    desk.liveness.heard(heartbeat, desk.clock.monotonic())
    return heartbeat


def _left(desk: Desk, instance: str, heartbeat: Heartbeat | None) -> None:
    if heartbeat is None:
        desk.liveness.left(instance)


def _legs(sip: Sip) -> LegSettings:
    interval = round(sip.calls.session_expires.total_seconds())
    return LegSettings(sip.dialog_ignore_contact_field, SessionTimerSettings(interval=interval))


def _own(service: Service, calls: int) -> Heartbeat:
    return Heartbeat(
        instance=service.instance,
        service=ServiceName.BRIDGE,
        version="",
        at=service.clock.utcnow(),
        load=calls,
        capacity=service.settings.sip.calls.max_calls,
        draining=service.health.draining,
    )
