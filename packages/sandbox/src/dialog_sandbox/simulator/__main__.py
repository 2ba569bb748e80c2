"""``python -m dialog_sandbox.simulator``: runs until SIGTERM or SIGINT.

The password of all users comes in the environment, as ``SIP_PASSWORD``. The first line of output is ``ready SIP_PORT
HTTP_PORT``; with ``--json`` the last one is the state page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys

import uvloop

from dialog_sandbox.simulator.registrar import Registrar
from dialog_sandbox.simulator.server import Server


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dialog_sandbox.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="SIP, UDP and TCP; 0 takes a free one")
    parser.add_argument("--http-port", type=int, default=0, help="the page; 0 takes a free one")
    parser.add_argument("--expires", type=int, default=3600, help="seconds granted to who asks for more")
    parser.add_argument("--nonce-uses", type=int, default=0, help="after so many uses a nonce is stale; 0: never")
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance, such as loss")
    parser.add_argument("--json", action="store_true", help="print the state page at the end")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    registrar = Registrar(
        os.environ.get("SIP_PASSWORD", "").encode(),
        expires=arguments.expires,
        nonce_uses=arguments.nonce_uses,
        seed=arguments.seed,
    )
    async with Server(registrar, arguments.host, arguments.port, arguments.http_port) as server:
        sys.stdout.write(f"ready {server.port} {server.http_port}\n")
        sys.stdout.flush()
        await stop.wait()
        if arguments.json:
            sys.stdout.write(json.dumps(server.state()) + "\n")


def main() -> None:
    """Run until a signal."""
    arguments = _arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(arguments))


if __name__ == "__main__":
    main()
