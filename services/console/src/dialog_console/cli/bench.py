"""``dialog-sip bench``: measure, and compare with the aims."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from dialog_sandbox.errors import SandboxError
from rich.console import Console
from rich.table import Table

from dialog_console.benchmarks import BENCHMARKS

if TYPE_CHECKING:
    from dialog_console.benchmarks.row import Row


CONTEXT_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which benchmark: " + ", ".join(BENCHMARKS) + ".")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Run a benchmark; without a name, list them. Exit code 0 only if every row with an aim reached it.

    What a benchmark takes itself is listed with it, and goes behind its name.

    Examples:
      dialog-sip bench bus

      dialog-sip bench registrar --users 1000,10000

      dialog-sip bench bus --json

    """
    from dialog_console.benchmarks.row import all_reached

    console = Console(highlight=False)
    if not name:
        console.print(listing())
        return
    rows = measure(name, context.args)
    if as_json:
        sys.stdout.write(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    else:
        console.print(table(name, rows))
    sys.exit(not all_reached(rows))


def measure(name: str, arguments: Sequence[str] = ()) -> list[Row]:
    """Run a benchmark on uvloop, as the services run. Raises :class:`SandboxError` for what there is not."""
    import uvloop

    if name not in BENCHMARKS:
        raise SandboxError(f"no benchmark is called {name}: {', '.join(BENCHMARKS)}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    module = importlib.import_module(BENCHMARKS[name][0])
    if arguments and not hasattr(module, "parse"):
        raise SandboxError(f"bench {name} takes no {arguments[0]}")
    options = [module.parse(arguments)] if hasattr(module, "parse") else []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows: list[Row] = runner.run(module.run(*options))
    return rows


def listing() -> Table:
    """Return all benchmarks as a table."""
    listed = Table("benchmark", "measures")
    for name, (_, what) in BENCHMARKS.items():
        listed.add_row(name, what)
    return listed


def table(name: str, rows: Sequence[Row]) -> Table:
    """Return the rows for people."""
    from dialog_console.benchmarks.row import number

    shown = Table("", "value", "unit", "aim", "others", "", title=f"dialog-sip bench {name}")
    shown.columns[1].justify = "right"
    for column in (1, 2, 3, 5):
        shown.columns[column].no_wrap = True
    marks = {True: "[green]ok", False: "[red]missed", None: ""}
    for row in rows:
        shown.add_row(row.name, number(row.value), row.unit, str(row.aim or ""), row.peers, marks[row.ok])
    return shown
