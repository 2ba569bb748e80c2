"""``python -m dialog_sandbox.pbx``: the sandbox PBX as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from dialog_sip import SipError
from dialog_sip.digest import Algorithm
from pydantic import SecretStr

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.pbx import Pbx, PbxOptions
from dialog_sandbox.pbx.web import make_app
from dialog_sandbox.phone.phone import RegistrationRefusedError
from dialog_sandbox.serving import serve_until

MISUSED = 2


def _address(text: str, what: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise SandboxError(f"{what}: {text!r} is not host:port")
    return host, int(port)


def _listen(address: tuple[str, int]) -> socket.socket:
    try:
        return socket.create_server(address)
    except OSError as error:
        raise SandboxError(f"cannot listen on {address[0]}:{address[1]}: {os.strerror(error.errno or 0)}") from None


async def _serve(options: PbxOptions, http: tuple[str, int]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    with _listen(http) as listening:
        async with Pbx(options) as pbx:
            told, pages = pbx.address, listening.getsockname()
            typer.echo(f"ready: SIP {told[0]}:{told[1]} (udp, tcp), HTTP {pages[0]}:{pages[1]}")
            config = uvicorn.Config(make_app(pbx), log_level="warning", access_log=False, lifespan="off")
            await serve_until(stopping, config, listening)


def main(
    *,
    sip: Annotated[str, typer.Option(help="host:port of UDP and TCP")] = "127.0.0.1:5060",
    http: Annotated[str, typer.Option(help="host:port of the pages /bindings, /call and /calls")] = "127.0.0.1:8081",
    password: Annotated[
        str | None, typer.Option(envvar="SIP_PASSWORD", help="everybody's; better given in the environment")
    ] = None,
    accounts: Annotated[Path | None, typer.Option(help="JSON file of user -> password")] = None,
    realm: Annotated[str | None, typer.Option(help="realm and host of AORs; else the host of --sip")] = None,
    expires: Annotated[int, typer.Option(min=1, help="longest Expires that is granted, in seconds")] = 3600,
    min_expires: Annotated[int, typer.Option(min=0, help="shorter ones are answered 423")] = 0,
    digest: Annotated[list[Algorithm] | None, typer.Option(help="algorithms of challenges; MD5 if left out")] = None,
    memory: Annotated[Path | None, typer.Option(help="file that keeps bindings over a restart")] = None,
    phones: Annotated[bool, typer.Option(help="bring the phones echo, tone, busy, reject and silent")] = True,
) -> None:
    """Run the sandbox PBX until told to stop."""
    try:
        common = None if password is None else SecretStr(password)
        if common is None and accounts is None:
            raise SandboxError("give a password in SIP_PASSWORD, or --accounts")
        host, port = _address(sip, "--sip")
        options = PbxOptions(
            Accounts.read(accounts, common),
            host,
            port,
            realm,
            grant=expires,
            minimum=min_expires,
            algorithms=tuple(digest or (Algorithm.MD5,)),
            phones=phones,
            memory=memory,
        )
        asyncio.run(_serve(options, _address(http, "--http")))
    except (SandboxError, SipError, RegistrationRefusedError) as error:
        typer.echo(f"dialog_sandbox.pbx: {error}", err=True)
        raise typer.Exit(MISUSED) from None


if __name__ == "__main__":
    typer.run(main)
