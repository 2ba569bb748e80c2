"""``dialog-sip mappings``: the table ``sip_user_mappings``, listed, checked, imported and exported."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from dialog_sandbox.errors import SandboxError
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from dialog_console.cli.bus import ConfOption, caught_up, joined, settings

if TYPE_CHECKING:
    from dialog_runtime.config import Settings

    from dialog_console.adapters.table import Table
    from dialog_console.model.mapping_file import MappingFile, Problem
    from dialog_console.model.mapping_list import Listed

app = typer.Typer(no_args_is_help=True, help="List, check, import and export the rows of sip_user_mappings.")

MOST_ROWS = 1_000
"""Rows shown as a table."""
GOOD = frozenset({"registered", "unregistered"})

_T = TypeVar("_T")
FileArgument = Annotated[Path, typer.Argument(help="CSV with the columns' names in its first line.", dir_okay=False)]


@app.command("list")
def list_(
    text: Annotated[str, typer.Argument(help="Show only rows that mention it.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="Show only rows in this state; repeatable.")] = None,
    conf: ConfOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Show the rows with the state of their registrations; those with trouble come first.

    Examples:
      dialog-sip mappings list

      dialog-sip mappings list pbx.example.com --state rejected --state retrying

    """
    from dialog_schemas.registrations import RegistrationState

    from dialog_console.model.mapping_list import NO_STATUS

    states = [*(known.value for known in RegistrationState), NO_STATUS]
    if unknown := [it for it in state or () if it not in states]:
        raise SandboxError(f"no state is called {', '.join(unknown)}: there are {', '.join(states)}")
    found = [row for row in _run(_listed(settings(conf))) if (not state or row.state in state) and row.mentions(text)]
    if as_json:
        sys.stdout.write(json.dumps([row.as_json() for row in found], indent=2) + "\n")
    else:
        Console(highlight=False).print(shown(found))


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A CSV file; else the table is checked.", dir_okay=False)] = None,
    conf: ConfOption = None,
) -> None:
    """Say which rows cannot be used and why, a line each, as the provisioner would; exit code 1 if there are any.

    Examples:
      dialog-sip mappings check

      dialog-sip mappings check users.csv

    """
    found = file_of(file).problems() if file else _run(_with_table(settings(conf), problems_of))
    for problem in found:
        typer.echo(str(problem))
    sys.exit(bool(found))


@app.command("import")
def import_(
    file: FileArgument,
    conf: ConfOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Insert the rows of a CSV file, or update those with the same sip_user and sip_host: all of them or none.

    A column that the file does not have stays as it is.

    Examples:
      dialog-sip mappings import users.csv --dry-run

      dialog-sip mappings import users.csv

    """
    from dialog_console.adapters.table_import import Outcome, upsert

    read = file_of(file)
    if found := read.problems():
        raise SandboxError("nothing was imported:\n" + "\n".join(map(str, found)))

    async def work(table: Table) -> Outcome:
        return await upsert(table, read.columns, read.lines, dry_run=dry_run)

    done = _run(_with_table(settings(conf), work))
    typer.echo(
        f"{'would be ' if dry_run else ''}inserted {done.inserted}, updated {done.updated}, unchanged {done.unchanged}"
    )


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output if not given.", dir_okay=False)] = None,
    conf: ConfOption = None,
    with_passwords: Annotated[bool, typer.Option("--with-passwords", help="Write sip_password as well.")] = False,
) -> None:
    """Write the rows as CSV, without passwords unless told otherwise; a file of its own is for its owner alone.

    Examples:
      dialog-sip mappings export users.csv

      dialog-sip mappings export backup.csv --with-passwords

    """
    from dialog_runtime.table.names import COLUMNS

    from dialog_console.model.mapping_file import PASSWORD, write

    columns = [column for column in COLUMNS if with_passwords or column != PASSWORD]
    rows = _run(_with_table(settings(conf), lambda table: table.rows(passwords=with_passwords)))
    text = write(columns, rows)
    if file is None:
        sys.stdout.write(text)
        return
    _write_privately(file, text)
    typer.echo(f"{len(rows)} rows in {file}")


def file_of(path: Path) -> MappingFile:
    """Read a CSV file. Raises :class:`SandboxError`."""
    from dialog_console.model.mapping_file import MappingFileError, read

    try:
        return read(path.read_bytes().decode())
    except OSError as error:
        raise SandboxError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SandboxError(f"{path} is not UTF-8 (byte {error.start})") from None
    except MappingFileError as error:
        raise SandboxError(f"{path}: {error}") from None


async def problems_of(table: Table) -> Sequence[Problem]:
    """Return the rows of the table that cannot be used."""
    from dialog_console.model.mapping_file import problems, row_of

    # Numbered in the order they were written: of two rows with one AOR the elder is the one in use.
    rows = sorted(await table.rows(), key=lambda row: int(row["xmin"] or 0))
    numbered = [row_of(row, str(number)) for number, row in enumerate(rows)]
    return problems(numbered, {row.revision: "sip_user_mappings" for row in numbered})


def shown(rows: Sequence[Listed]) -> Shown:
    """Return rows as a table for people."""
    counts = Counter(row.state for row in rows)
    title = "Mappings: " + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none")
    table = Shown(title=title, title_justify="left")
    for column in ("mapping", "state", "at", "peer", "may", "what to know"):
        table.add_column(column, overflow="fold")
    for row in sorted(rows, key=lambda row: row.state in GOOD)[:MOST_ROWS]:
        table.add_row(*_cells(row))
    if len(rows) > MOST_ROWS:
        table.caption = f"and {len(rows) - MOST_ROWS} more: narrow it with --state or a text, or take --json"
    return table


def _cells(row: Listed) -> Iterable[str]:
    values, status = row.values, row.status
    colour = "green" if row.state in GOOD else "red"
    switches = {"register": "register", "can_call": "call", "can_be_called": "be called"}
    may = ", ".join(word for column, word in switches.items() if values[column] in {"true", "t", "1", "yes", "on"})
    told = "" if status is None else status.reason
    if status is not None and not row.is_current:
        told = f"(the row has changed since) {told}"
    where = f"{values['sip_port'] or ''} {values['sip_parameters'] or ''}".strip()
    return escape(row.aor), f"[{colour}]{row.state}", escape(where), values["peer_id"] or "", may, escape(told)


async def _listed(given: Settings) -> list[Listed]:
    from dialog_runtime.bus.view import event_of
    from dialog_schemas.registrations import RegistrationStatus
    from dialog_schemas.topics import REGISTRATIONS

    from dialog_console.model.mapping_list import beside

    async with joined(given.kafka) as bus:
        statuses = bus.view(REGISTRATIONS, event_of(RegistrationStatus))
        rows = await _with_table(given, lambda table: table.rows())
        await caught_up(statuses)
        return beside(rows, statuses.values())


async def _with_table(given: Settings, work: Callable[[Table], Awaitable[_T]]) -> _T:
    from dialog_console.adapters.table import opened

    async with opened(given.postgresql, given.sip.provisioner.table) as table:
        return await work(table)


def _run(work: Awaitable[_T]) -> _T:
    import uvloop

    async def main() -> _T:
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def _write_privately(path: Path, text: str) -> None:
    """Write a file that only its owner may read, also where it was there and open to others."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            path.chmod(0o600)
            out.write(text)
    except OSError as error:
        raise SandboxError(f"{path} cannot be written: {error.strerror}") from None
