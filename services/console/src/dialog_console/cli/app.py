"""Puts the subcommands together.

A subcommand is a module here with a function ``command`` (its docstring is the help), or with ``app``, a group of
subcommands. Modules import what is heavy inside their functions, so that ``--help`` is instant.
"""

from __future__ import annotations

import importlib
import sys

import typer
from dialog_sandbox.errors import SandboxError

from dialog_console.cli.interrupts import as_usual

COMMANDS: tuple[tuple[str, str], ...] = (
    ("up", "dialog_console.cli.up"),
    ("demo", "dialog_console.cli.demo"),
    ("status", "dialog_console.cli.status"),
    ("mappings", "dialog_console.cli.mappings"),
    ("events", "dialog_console.cli.events"),
    ("dead-letters", "dialog_console.cli.dead_letters"),
    ("test", "dialog_console.cli.test"),
    ("bench", "dialog_console.cli.bench"),
    ("chaos", "dialog_console.cli.chaos"),
    ("doctor", "dialog_console.cli.doctor"),
)
"""Name -> module, in the order of the help."""


def build() -> typer.Typer:
    """Return the command with all its subcommands."""
    app = typer.Typer(
        name="dialog-sip",
        help="SIP integration for the dialog messenger: users of dialog reachable by phone.",
        epilog="Start with: [bold]dialog-sip up[/bold]",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    for name, module_name in COMMANDS:
        module = importlib.import_module(module_name)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            settings = getattr(module, "CONTEXT_SETTINGS", None)
            app.command(name, context_settings=settings)(module.command)
    return app


def main() -> None:
    """Run the command; what is wrong with the sandbox is one line on stderr and an exit code."""
    try:
        command = build()
        as_usual()
        command(prog_name="dialog-sip")
    except SandboxError as error:
        sys.stderr.write(f"dialog-sip: {error}\n")
        sys.exit(error.exit_code)
