"""The one place that wires the console."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any

from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View, event_of
from dialog_runtime.config.settings import Settings
from dialog_runtime.heartbeat import Load
from dialog_runtime.service import Service
from dialog_schemas.event import Event
from dialog_schemas.instances import CallHeld, Heartbeat
from dialog_schemas.registrations import RegistrationStatus
from dialog_schemas.topics import CALL_COMMANDS, CALL_DIRECTORY, CALL_EVENTS, INSTANCES, MAPPINGS, REGISTRATIONS, USERS

from dialog_console.adapters.bus import BusDialogServer
from dialog_console.adapters.host import ConsoleHost
from dialog_console.adapters.pbx import PbxPages
from dialog_console.adapters.web import routes
from dialog_console.handlers import Console
from dialog_console.model.board import Board, Message
from dialog_console.pages import Pages

SHOW_INSTANCES_EVERY = timedelta(seconds=1)
"""How often pages hear who is alive."""

SANDBOX_PBX = "SANDBOX_PBX"
"""Environment variable with the HTTP address of the sandbox PBX, where there is one."""


async def build(service: Service, host: ConsoleHost) -> None:
    """Start every part of the console under the service's supervisor."""
    board, pages = Board(), Pages()
    pbx = PbxPages(os.environ[SANDBOX_PBX]) if os.environ.get(SANDBOX_PBX) else None
    console = Console(board, pages, BusDialogServer(service.bus.publisher), pbx)

    calls = _follow(service, console)

    def snapshot() -> Message:
        extras: Message = {"ice_servers": ice_servers(service.settings), "pbx": pbx is not None}
        extras["calls_known"] = calls.is_ready  # Before that a page must not take its call for ended.
        return board.snapshot(service.clock.utcnow()) | extras

    host.add(routes(pages, snapshot, console.request))
    service.supervisor.spawn("instances", _show_instances(service, console))
    service.load = lambda: Load(float(len(pages)))
    service.metrics.watch("pages", "Pages that are open", lambda: float(len(pages)))


def ice_servers(settings: Settings) -> list[dict[str, Any]]:
    """Return ``modules.webrtc.ice-servers`` as ``RTCConfiguration.iceServers``; the browser needs the credentials."""
    return [
        {"urls": server.url, "username": server.username, "credential": server.credential.get_secret_value()}
        if server.username
        else {"urls": server.url}
        for server in settings.ice_servers
    ]


def _follow(service: Service, console: Console) -> View[CallHeld]:
    """Look on at every topic that the page shows. Returns the calls that bridges hold."""
    board, pages, bus = console.board, console.pages, service.bus

    def mapping(aor: str, event: Event | None) -> None:
        pages.tell_all(board.mapping(aor, event))

    def registration(aor: str, status: RegistrationStatus | None) -> None:
        pages.tell_all(board.registration(aor, status))

    def held(call_id: str, entry: CallHeld | None) -> None:
        pages.tell_all(board.held(call_id, entry))

    bus.view(MAPPINGS, _any_event, mapping)
    bus.view(REGISTRATIONS, event_of(RegistrationStatus), registration)
    bus.view(INSTANCES, event_of(Heartbeat), board.instance)
    bus.tail(USERS, console.bus_record, from_end=False)
    bus.tail(CALL_COMMANDS, console.bus_record)
    bus.tail(CALL_EVENTS, console.bus_record)
    return bus.view(CALL_DIRECTORY, event_of(CallHeld), held)


def _any_event(record: Record) -> Event:
    return record.envelope().event


async def _show_instances(service: Service, console: Console) -> None:
    while True:
        await asyncio.sleep(SHOW_INSTANCES_EVERY.total_seconds())
        rows = console.board.instance_rows(service.clock.utcnow())
        console.pages.tell_all([{"kind": "instances", "instances": rows}])
