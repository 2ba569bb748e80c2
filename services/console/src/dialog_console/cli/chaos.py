"""``dialog-sip chaos``: faults by a seed, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dialog_sandbox.errors import SandboxError
from rich.console import Console

from dialog_console.chaos.size import DEFAULT_FAULTS, DEFAULT_MAPPINGS, SECONDS_A_FAULT

if TYPE_CHECKING:
    from dialog_console.chaos.report import Report

MAX_FAULTS = 2000
MAX_MAPPINGS = 20_000


def command(
    seed: Annotated[int, typer.Option(help="The same seed gives the same faults and edits.")] = 1,
    faults: Annotated[int, typer.Option(min=1, max=MAX_FAULTS, help="How many faults.")] = DEFAULT_FAULTS,
    minutes: Annotated[float, typer.Option(help="Over which they are spread; else 12 s each.")] = 0,
    mappings: Annotated[int, typer.Option(min=1, max=MAX_MAPPINGS, help="Rows at the start.")] = DEFAULT_MAPPINGS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="File for the report as JSON.")] = None,
) -> None:
    """Kill, stop and restart every part of a system of its own while its table is edited; then check all of it.

    Kafka, PostgreSQL, two provisioners, two registrars, Kamailio and a simulated PBX. Exit code 0 only if everything
    held: every change arrived, every registration is as its row says, none lapsed, no secret is anywhere.

    Examples:
      dialog-sip chaos --seed 7 --faults 60

      dialog-sip chaos --faults 12 --minutes 1 --mappings 200 --report chaos.json

    """
    import uvloop

    from dialog_console.chaos.run import run
    from dialog_console.chaos.size import Size

    if report is not None and not report.absolute().parent.is_dir():
        raise SandboxError(f"{report.parent} is not a folder")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    size = Size(seed, faults, mappings, 60 * minutes or faults * SECONDS_A_FAULT)
    console = Console(highlight=False, soft_wrap=True, stderr=as_json)
    console.print(f"seed {seed}: {faults} faults in {size.seconds:.0f} s, {mappings} mappings", markup=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        made = runner.run(run(size, lambda line: console.print(line, markup=False)))
    _tell(made, as_json=as_json, file=report)
    sys.exit(not made.ok)


def _tell(made: Report, *, as_json: bool, file: Path | None) -> None:
    text = json.dumps(made.as_json(), indent=2)
    if file is not None:
        file.write_text(text + "\n")
    if as_json:
        sys.stdout.write(text + "\n")
    else:
        Console(highlight=False).print(made.tables())
