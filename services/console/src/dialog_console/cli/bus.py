"""How the commands join the bus: from a ``server.conf``, or from an address alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from dialog_sandbox.errors import SandboxError, WrongConfigurationError
from dialog_sandbox.paths import state_dir

if TYPE_CHECKING:
    from dialog_runtime.bus.kafka import KafkaBus
    from dialog_runtime.bus.ports import Subscription
    from dialog_runtime.bus.view import View
    from dialog_runtime.config import Settings
    from dialog_runtime.config.services import Kafka

T = TypeVar("T")

ConfOption = Annotated[
    Path | None, typer.Option(help="The server.conf to take addresses from; else that of `dialog-sip up`.")
]
KafkaOption = Annotated[str, typer.Option(help="HOST:PORT of Kafka, instead of a server.conf.")]
PrefixOption = Annotated[str, typer.Option(help="Topic prefix that goes with --kafka.")]

DEFAULT_PREFIX = "dialog."

WITHIN = 10.0
"""Seconds to wait for Kafka before a command gives up."""


def kafka_settings(conf: Path | None, address: str, prefix: str) -> Kafka:
    """Return where Kafka is. Raises :class:`SandboxError` with one line where that cannot be told."""
    from dialog_runtime.config.services import Kafka
    from pydantic import ValidationError

    if address:
        try:
            return Kafka(bootstrap_servers=tuple(address.split(",")), topic_prefix=prefix)
        except ValidationError as error:
            (problem, *_) = error.errors(include_url=False)
            option = "--kafka" if str(problem["loc"][0]).startswith("bootstrap") else "--prefix"
            raise WrongConfigurationError(f"{option}: {problem['msg'].removeprefix('Value error, ')}") from None
    return settings(conf, "--conf server.conf or --kafka HOST:PORT").kafka


def settings(conf: Path | None, otherwise: str = "--conf server.conf") -> Settings:
    """Read the ``server.conf`` that is named, or that of ``dialog-sip up``. Raises :class:`SandboxError`.

    ``otherwise`` is what to say on the command line where there is none.
    """
    from dialog_runtime.config import ConfigError, load_settings

    path = conf or state_dir() / "server.conf"
    if not path.is_file():
        raise SandboxError(f"no {path}: start `dialog-sip up`, or say {otherwise}")
    try:
        return load_settings(path)
    except ConfigError as error:
        raise WrongConfigurationError(str(error)) from error


def run(kafka: Kafka, work: Callable[[KafkaBus], Awaitable[T]]) -> T:
    """Do ``work`` with a bus, on a loop of its own."""
    import asyncio

    import uvloop

    async def main() -> T:
        async with joined(kafka) as bus:
            return await work(bus)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@asynccontextmanager
async def joined(kafka: Kafka) -> AsyncIterator[KafkaBus]:
    """Join the bus. Raises :class:`SandboxError` where no broker answers."""
    from dialog_runtime.bus.errors import BusTimeoutError
    from dialog_runtime.bus.kafka import KafkaBus
    from dialog_runtime.bus.topics import ensure_topics
    from dialog_runtime.logging import silence
    from dialog_runtime.supervise import Supervisor

    silence()
    supervisor = Supervisor()
    bus = KafkaBus(kafka, service="cli", instance=f"cli-{os.getpid()}-{secrets.token_hex(3)}", supervisor=supervisor)
    try:
        await ensure_topics(kafka, within=WITHIN)
        yield bus
    except BusTimeoutError as error:
        raise SandboxError(f"no Kafka at {','.join(kafka.bootstrap_servers)}") from error
    finally:
        await supervisor.stop(5)


async def caught_up(*parts: View[Any] | Subscription) -> None:
    """Wait until every view or tail has read what is there. Raises :class:`SandboxError`."""
    import asyncio

    try:
        async with asyncio.timeout(WITHIN):
            for part in parts:
                await part.ready()
    except TimeoutError:
        raise SandboxError(f"Kafka did not give the topics within {WITHIN:g} s") from None
