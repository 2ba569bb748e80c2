"""``dialog-sip up``: the whole system on this machine."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.paths import state_dir
from rich.console import Console

from dialog_console.cli.interrupts import INTERRUPTED, end_at_once

if TYPE_CHECKING:
    from dialog_sandbox.stack import Options, Stack
    from dialog_sandbox.stack.supervisor import Report

KAFKA_PORT, POSTGRES_PORT, SIP_PORT, HTTP_PORT = 19092, 15432, 15060, 18080
"""The usual ports and 10000, so that servers which are here already are not in the way."""

_console = Console(highlight=False, soft_wrap=True)


def command(
    conf: Annotated[Path | None, typer.Option(help="A server.conf of your own, with its PBX.", dir_okay=False)] = None,
    without: Annotated[str, typer.Option(help="Parts to leave out, as pbx,console,bridge.")] = "",
    scale: Annotated[list[str] | None, typer.Option(help="Instances of a service, as registrar=2; repeatable.")] = None,
    state: Annotated[Path | None, typer.Option(help="Folder of data, logs and configuration.")] = None,
    kafka_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = KAFKA_PORT,
    postgres_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = POSTGRES_PORT,
    sip_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the sandbox PBX; 0: any free one.")] = SIP_PORT,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: any free one.")] = HTTP_PORT,
) -> None:
    """Run Kafka, PostgreSQL, a small PBX, the three services and the page; Ctrl-C ends it all.

    State is kept between starts.

    Examples:
      dialog-sip up

      dialog-sip up --scale registrar=2 --scale bridge=2

      dialog-sip up --conf /etc/dialog/server.conf --without console

    """
    end_at_once()
    from dialog_sandbox.stack import Options, Ports

    options = Options(
        state=(state or state_dir()).absolute(),
        conf=conf,
        without=frozenset(filter(None, without.replace(" ", "").split(","))),
        scale=dict(map(parse_scale, scale or ())),
        ports=Ports(kafka_port, postgres_port, sip_port, http_port),
    )
    code = asyncio.run(_run(options))
    if code:
        sys.exit(code)


def parse_scale(text: str) -> tuple[str, int]:
    """Read ``registrar=2``. Raises :class:`SandboxError`."""
    name, _, count = text.partition("=")
    if not name or not count.isdecimal():
        raise SandboxError(f"--scale {text}: it is written as registrar=2")
    return name, int(count)


async def _run(options: Options) -> int:
    from dialog_sandbox.stack import Stack

    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    stack = Stack(options, _tell)
    if not await _unless(stop, stack.start()):
        # Everything has ended, but a download in a thread cannot be interrupted, and the loop would wait for it.
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    try:
        for line in addresses(stack):
            _console.print(line, markup=False)
        await stop.wait()
    finally:
        _console.print("ending...")
        await stack.stop()
    return 0


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do ``work`` unless ``stop`` is set before it is done; then it is cancelled. Returns whether it was done."""
    doing, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
        await doing
    except asyncio.CancelledError:
        return False
    finally:
        stopped.cancel()
    return True


def _tell(report: Report) -> None:
    ms = "" if report.ms is None else f"{report.ms:7.0f} ms"
    _console.print(
        f"  {report.name:<14} {report.text:<14} {ms}".rstrip(), style=None if report.ok else "yellow", markup=False
    )


def addresses(stack: Stack) -> Iterator[str]:
    """Yield what a person needs to join in, a line each."""
    yield ""
    if stack.page:
        yield f"Page        {stack.page}"
    if stack.pbx_control:
        yield f"PBX         sip:127.0.0.1:{stack.ports.sip} (udp, tcp), password {stack.sip_password}"
    yield f"Kafka       {stack.bootstrap}"
    if (server := stack.postgres) is not None:
        # Ours, generated for this folder; a password of somebody's own configuration is never shown.
        secret = f"PGPASSWORD={shlex.quote(server.password.get_secret_value())}"
        psql = f"{shlex.quote(server.psql)} -h {server.host} -p {server.port} -U {server.user} {server.db}"
        yield f"PostgreSQL  {secret} {psql}"
    elif stack.given.postgres:
        yield f"PostgreSQL  {stack.given.postgres}"
    yield f"Config      {stack.conf}"
    yield f"Logs        {stack.state / 'logs'}"
    yield "Ctrl-C ends all of it."
