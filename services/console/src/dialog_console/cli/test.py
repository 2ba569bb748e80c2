"""``dialog-sip test``: every check there is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dialog_console.cli.checkout import checkout

CONTEXT_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}

SOURCES = (
    "schemas/src",
    *(f"packages/{name}/src" for name in ("sip", "runtime", "sandbox")),
    *(f"services/{name}/src" for name in ("provisioner", "registrar", "bridge", "console")),
)
SCRIPTS = ("dialog-sip", "tools/lock")
"""Python without a suffix, which the tools do not find by themselves."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check; it passes if its command exits with 0."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check went."""

    name: str
    code: int
    seconds: float


def checks(pytest_args: Sequence[str], *, fast: bool) -> tuple[Check, ...]:
    """Return the checks in order, quick ones first; ``fast`` leaves the tests at the unit tests."""
    python = (sys.executable, "-m")
    tests = ("tests/unit",) if fast and not pytest_args else ()
    return (
        Check("import contracts", (_beside("lint-imports"),)),
        Check("ruff check", (*python, "ruff", "check", ".", *SCRIPTS)),
        Check("ruff format", (*python, "ruff", "format", "--check", ".", *SCRIPTS)),
        Check("mypy --strict", (*python, "mypy", "--strict", "--scripts-are-modules", *SOURCES, *SCRIPTS)),
        Check("pytest", (*python, "pytest", *tests, *pytest_args)),
    )


def command(
    context: typer.Context, fast: Annotated[bool, typer.Option("--fast", help="Only the unit tests.")] = False
) -> None:
    """Check the code and run the tests; further arguments go to pytest.

    What a test needs and this machine lacks makes it skip, and with CI=true fail.

    Examples:
      dialog-sip test

      dialog-sip test --fast

      dialog-sip test tests/unit/sip -k digest

    """
    root = checkout()
    outcomes = [run(check, root) for check in checks(context.args, fast=fast)]
    Console().print(summary(outcomes))
    sys.exit(any(outcome.code for outcome in outcomes))


def run(check: Check, root: Path) -> Outcome:
    """Run one check with its output where ours goes."""
    sys.stdout.write(f"== {check.name}\n")
    sys.stdout.flush()
    began = time.monotonic()
    code = subprocess.run(check.argv, cwd=root, check=False).returncode
    return Outcome(check.name, code, time.monotonic() - began)


def summary(outcomes: Sequence[Outcome]) -> Table:
    """Return the outcomes as a table."""
    table = Table("check", "result", "seconds", title="dialog-sip test")
    table.columns[2].justify = "right"
    for outcome in outcomes:
        result = "[green]passed" if outcome.code == 0 else f"[red]failed (exit {outcome.code})"
        table.add_row(outcome.name, result, f"{outcome.seconds:.1f}")
    return table


def _beside(program: str) -> str:
    return str(Path(sys.executable).with_name(program))
