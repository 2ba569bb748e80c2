"""``dialog-sip demo``: the whole path without a browser, each step checked."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from dialog_sandbox.errors import SandboxError
from rich.console import Console

from dialog_console.cli.bus import DEFAULT_PREFIX, ConfOption, KafkaOption, PrefixOption, joined, kafka_settings

if TYPE_CHECKING:
    from dialog_runtime.config.services import Kafka

    from dialog_console.demo.scenario import Script, Step

ALL_WITHIN = 120.0
"""Seconds for everything, set-up apart."""


def command(
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
    pbx: Annotated[str, typer.Option(help="Pages of a sandbox PBX that runs already, with --conf or --kafka.")] = "",
    user: Annotated[int, typer.Option(min=1, max=2**31 - 1, help="Id of the user that is made and deleted.")] = 434,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Register a user, call both ways, check the sound, unregister: one line a step, exit code 0 only if all held.

    Without options it runs on a system of its own, which is gone afterwards.

    Examples:
      dialog-sip demo

      dialog-sip demo --json

      dialog-sip demo --kafka 127.0.0.1:9094 --pbx http://127.0.0.1:8081

    """
    from dialog_console.demo.scenario import Script

    if bool(pbx) != bool(conf or kafka):
        raise SandboxError("--pbx goes with --conf or --kafka: together they name a system that runs already")
    script = Script(tell=(lambda _: None) if as_json else _tell)
    running = kafka_settings(conf, kafka, prefix) if pbx else None
    began = time.perf_counter()
    ok = asyncio.run(_run(script, running, pbx, user))
    if as_json:
        outcome = {"ok": ok, "ms": round((time.perf_counter() - began) * 1000), "steps": []}
        outcome["steps"] = [step.as_json() for step in script.steps]
        sys.stdout.write(json.dumps(outcome, indent=2) + "\n")
    sys.exit(not ok)


async def _run(script: Script, running: Kafka | None, pbx: str, user: int) -> bool:
    from dialog_console.adapters.pbx import PbxPages
    from dialog_console.demo.messenger import Messenger
    from dialog_console.demo.scenario import Demo, StepFailedError

    for noisy in ("aiokafka", "aioice", "aiortc", "structlog"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    try:
        async with (
            asyncio.timeout(ALL_WITHIN),
            _system(script, running, pbx) as (kafka, pages),
            joined(kafka) as bus,
        ):
            messenger = Messenger(bus, loopback=running is None)
            await script.step("joined the bus", messenger.ready())
            await Demo(messenger, PbxPages(pages), script, user).run()
    except StepFailedError:
        return False
    except TimeoutError:
        sys.stderr.write(f"dialog-sip: the demo took longer than {ALL_WITHIN:g} s\n")
        return False
    return script.ok


@asynccontextmanager
async def _system(script: Script, running: Kafka | None, pbx: str) -> AsyncIterator[tuple[Kafka, str]]:
    """Give Kafka and the PBX's pages of a system that runs, or of one that lives as long as the demo."""
    if running is not None:
        yield running, pbx
        return
    from dialog_sandbox.stack import Options, Stack
    from dialog_sandbox.stack.temporary import temporary_state

    with temporary_state() as state:
        stack = Stack(Options(state=state, without=frozenset({"console"})))
        try:
            await script.step("Kafka, PostgreSQL, PBX and services started", stack.start())
            yield kafka_settings(stack.conf, "", ""), stack.pbx_control or ""
        finally:
            await stack.stop()


def _tell(step: Step) -> None:
    console = Console(highlight=False, soft_wrap=True)
    mark, style = ("ok", None) if step.ok else ("!!", "red")
    console.print(f"{mark} {step.name:<45} {step.ms:8.0f} ms  {step.detail}".rstrip(), style=style, markup=False)
