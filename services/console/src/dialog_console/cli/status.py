"""``dialog-sip status``: who is alive, what is registered, which calls there are."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dialog_console.cli.bus import DEFAULT_PREFIX, ConfOption, KafkaOption, PrefixOption, caught_up, kafka_settings, run
from dialog_console.model.board import SILENT_AFTER, instance_row

if TYPE_CHECKING:
    from dialog_runtime.bus.kafka import KafkaBus
    from dialog_schemas.instances import CallHeld, Heartbeat
    from dialog_schemas.registrations import RegistrationStatus

MOST_ROWS = 40
"""Registrations listed one by one; those with trouble come first."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the compacted topics say right now."""

    instances: list[Heartbeat]
    registrations: list[RegistrationStatus]
    calls: list[CallHeld]


def command(
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show instances, registrations and calls, as the topics have them.

    Examples:
      dialog-sip status

      dialog-sip status --kafka kafka-1.example.com:9092 --json

    """
    status = run(kafka_settings(conf, kafka, prefix), read)
    now = datetime.now(UTC)
    if as_json:
        sys.stdout.write(json.dumps(as_rows(status, now), indent=2) + "\n")
        return
    console = Console(highlight=False)
    for table in (instances(status, now), registrations(status, now), calls(status, now)):
        console.print(table)


async def read(bus: KafkaBus) -> Status:
    """Read the topics to their ends."""
    from dialog_runtime.bus.view import event_of
    from dialog_schemas.instances import CallHeld, Heartbeat
    from dialog_schemas.registrations import RegistrationStatus
    from dialog_schemas.topics import CALL_DIRECTORY, INSTANCES, REGISTRATIONS

    beats = bus.view(INSTANCES, event_of(Heartbeat))
    statuses = bus.view(REGISTRATIONS, event_of(RegistrationStatus))
    held = bus.view(CALL_DIRECTORY, event_of(CallHeld))
    await caught_up(beats, statuses, held)
    return Status(beats.values(), statuses.values(), held.values())


def as_rows(status: Status, now: datetime) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "instances": [instance_row(beat, now) for beat in status.instances],
        "registrations": [row.model_dump(mode="json") for row in status.registrations],
        "calls": [call.model_dump(mode="json") for call in status.calls],
    }


def instances(status: Status, now: datetime) -> Table:
    """Return the table of instances."""
    table = _table("Instances", "instance", "service", "state", "load", "health pages")
    for beat in sorted(status.instances, key=lambda beat: beat.instance):
        silent = now - beat.at
        state = "[green]alive" if silent < SILENT_AFTER else f"[red]silent for {silent.total_seconds():.0f} s"
        table.add_row(
            beat.instance, beat.service, "[yellow]draining" if beat.draining else state, f"{beat.load:g}", beat.http
        )
    return table


def registrations(status: Status, now: datetime) -> Table:
    """Return the table of registrations: how many of each state, those with trouble, then the others."""
    from dialog_schemas.registrations import RegistrationState

    counts = Counter(row.state.value for row in status.registrations)
    title = "Registrations: " + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none")
    table = _table(title, "mapping", "state", "PBX says", "expires", "owner", "reason")
    good = {RegistrationState.REGISTERED, RegistrationState.UNREGISTERED}
    ordered = sorted(status.registrations, key=lambda row: (row.state in good, row.aor))
    for row in ordered[:MOST_ROWS]:
        colour = "green" if row.state in good else "red"
        says = escape(f"{row.last_code} {row.last_phrase or ''}") if row.last_code else ""
        expires = f"in {(row.expires_at - now).total_seconds():.0f} s" if row.expires_at else ""
        table.add_row(escape(row.aor), f"[{colour}]{row.state}", says, expires, row.owner, escape(row.reason))
    if len(ordered) > MOST_ROWS:
        table.caption = f"and {len(ordered) - MOST_ROWS} more: --json has all"
    return table


def calls(status: Status, now: datetime) -> Table:
    """Return the table of calls."""
    table = _table(f"Calls: {len(status.calls)}", "call", "direction", "mapping", "state", "for", "held by")
    for call in sorted(status.calls, key=lambda call: call.started_at):
        lasted = f"{(now - call.started_at).total_seconds():.0f} s"
        table.add_row(call.call_id, call.direction, escape(call.aor), call.state, lasted, call.instance)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        # Folded, never cut: an id is there to be copied.
        table.add_column(column, overflow="fold")
    return table
