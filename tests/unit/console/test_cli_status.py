"""``status``: what the compacted topics say, as tables and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from dialog_console.cli import status
from dialog_console.cli.status import Status
from dialog_schemas.calls import CallState
from dialog_schemas.instances import CallDirection, CallHeld, Heartbeat, ServiceName
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from rich.console import Console
from rich.table import Table

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CALL_ID = "5f1c0a7e-2c8e-4bb1-9a55-0f6f2f9e1c77-and-some-more-of-it"


def beat(name: str, silent: float = 0, *, draining: bool = False) -> Heartbeat:
    return Heartbeat(
        instance=name, service=ServiceName.BRIDGE, version="1", at=NOW - timedelta(seconds=silent), load=2,
        draining=draining, http="127.0.0.1:8080",
    )  # fmt: skip


def registration(aor: str, state: RegistrationState, **fields: object) -> RegistrationStatus:
    return RegistrationStatus.model_validate({"aor": aor, "state": state, "owner": "registrar-1", **fields})


def call(call_id: str = CALL_ID) -> CallHeld:
    return CallHeld(
        call_id=call_id, instance="bridge-1", epoch=1, direction=CallDirection.INCOMING, aor="434@pbx", user_id=434,
        state=CallState.TALKING, started_at=NOW - timedelta(seconds=61),
    )  # fmt: skip


def text(table: Table, width: int = 160) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_instances_are_alive_silent_or_draining() -> None:
    rows = text(status.instances(Status([beat("b"), beat("a", 9), beat("c", draining=True)], [], []), NOW)).splitlines()
    told = {name: next(row for row in rows if f" {name} " in row) for name in "abc"}
    assert "silent for 9 s" in told["a"]
    assert "alive" in told["b"]
    assert "draining" in told["c"]
    assert rows.index(told["a"]) < rows.index(told["b"]) < rows.index(told["c"])


def test_registrations_with_trouble_come_first() -> None:
    good = registration("1@pbx", RegistrationState.REGISTERED, expires_at=NOW + timedelta(seconds=55), last_code=200,
                        last_phrase="OK")  # fmt: skip
    bad = registration("2@pbx", RegistrationState.REJECTED, last_code=403, last_phrase="Forbidden", reason="ask them")
    shown = text(status.registrations(Status([], [good, bad], []), NOW))
    assert "Registrations: 1 registered, 1 rejected" in shown
    assert shown.index("2@pbx") < shown.index("1@pbx")
    for words in ("403 Forbidden", "ask them", "200 OK", "in 55 s"):
        assert words in shown


def test_what_a_pbx_says_is_no_markup() -> None:
    odd = registration("2@[fe80::1]", RegistrationState.RETRYING, last_code=500, last_phrase="[bold]Oops", reason="[a]")
    shown = text(status.registrations(Status([], [odd], []), NOW))
    for words in ("2@[fe80::1]", "500 [bold]Oops", "[a]"):
        assert words in shown


def test_many_registrations_are_cut_and_it_is_said() -> None:
    many = [registration(f"{n}@pbx", RegistrationState.REGISTERED) for n in range(status.MOST_ROWS + 2)]
    assert "and 2 more: --json has all" in text(status.registrations(Status([], many, []), NOW))


def test_ids_of_calls_are_folded_and_never_cut() -> None:
    shown = text(status.calls(Status([], [], [call()]), NOW), width=72)
    assert "…" not in shown
    first_column = "".join(line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│"))
    assert first_column == CALL_ID
    assert "61 s" in text(status.calls(Status([], [], [call()]), NOW))


def test_json_says_who_is_alive() -> None:
    rows = status.as_rows(Status([beat("a", 9), beat("b")], [], [call("c")]), NOW)
    assert [row["alive"] for row in rows["instances"]] == [False, True]
    assert json.loads(json.dumps(rows))["calls"][0]["call_id"] == "c"
