"""Start, run and stop a service: arguments, signals, exit codes, and the parts that every service has.

Theory of operation. :func:`run` reads arguments and configuration (exit code 2 with one line where they are wrong),
opens the health pages, starts the bus and hands a :class:`Service` to the service's own ``build``, which wires its
parts. Once ``build`` is done, heartbeats begin, ``/readyz`` says yes and one line of log says so. SIGTERM or SIGINT:
``/readyz`` says no, heartbeats say *draining*, the drain hooks run (bounded), then all parts stop in reverse order
(bounded): exit code 0. A second signal ends the process at once. A part that fails ends the service with exit code 1.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Protocol

import structlog
import typer
import uvloop
from dialog_schemas.event import InstanceId
from dialog_schemas.instances import ServiceName
from pydantic import TypeAdapter, ValidationError

from dialog_runtime.bus.errors import BusTimeoutError
from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.clock import Clock, SystemClock
from dialog_runtime.config import ConfigError, Settings, load_settings
from dialog_runtime.health import Health
from dialog_runtime.heartbeat import HeartbeatPart, Load
from dialog_runtime.http import Pages, PageServer, service_pages
from dialog_runtime.logging import LEVELS, configure
from dialog_runtime.metrics import Metrics
from dialog_runtime.supervise import Part, PartFailedError, Supervisor

log = structlog.get_logger(__name__)

CLEAN, CRASHED, MISUSED = 0, 1, 2
"""Exit codes: stopped as told, a part failed, wrong arguments or configuration."""

GC_THRESHOLDS = (50_000, 10, 10)
"""Of Python's collector of cycles. Services keep 100,000s of objects that live long; with Python's own thresholds (700,
10, 10) walking over them takes a third of all CPU while they are filled."""

STOP_WITHIN = 10.0
"""Seconds that the parts have to stop, after the drain."""


@dataclass
class Service:
    """What ``build`` is handed: everything round the logic of one service."""

    name: ServiceName
    instance: str
    settings: Settings
    supervisor: Supervisor
    bus: KafkaBus
    health: Health
    metrics: Metrics
    clock: Clock
    load: Callable[[], Load] = Load
    """Asked once a second for the heartbeat; ``build`` may replace it."""
    drain_within: float = 0.0
    """Seconds that the drain hooks have."""
    drain: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Run one after another when the service is told to stop, before its parts are."""
    incarnation: str = field(default_factory=lambda: secrets.token_hex(8))
    """Names this process among all that had or will have the same ``instance``."""


Build = Callable[[Service], Awaitable[None]]
"""Wires a service: makes its parts and starts them under ``service.supervisor``."""


class WebServer(Part, Protocol):
    """Serves the pages that every service has, and perhaps more."""

    async def open(self) -> tuple[str, int]:
        """Listen, and return the address. Raises :class:`OSError` where the port is taken."""


Serve = Callable[[str, int, Pages], WebServer]
"""Makes the web server of a service, at a host and port."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, checked."""

    conf: Path
    instance: str
    host: str
    port: int
    log_level: str


def run(name: ServiceName, build: Build, serve: Serve = PageServer) -> None:
    """Be the command of a service. Ends the process with its exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @app.command(help=f"The {name.value} of the SIP integration for dialog.")
    def main(
        conf: Annotated[Path, typer.Option(envvar="DIALOG_SIP_CONF", help="The dialog server's server.conf.")] = Path(
            "server.conf"
        ),
        instance: Annotated[
            str, typer.Option(envvar="DIALOG_SIP_INSTANCE", help="Id of this instance, the same after a restart.")
        ] = f"{name.value}-{socket.gethostname()}",
        http: Annotated[
            str, typer.Option(envvar="DIALOG_SIP_HTTP", help="HOST:PORT of the health and metrics pages.")
        ] = "127.0.0.1:0",
        log_level: Annotated[
            str, typer.Option(envvar="DIALOG_SIP_LOG_LEVEL", help=f"One of {', '.join(LEVELS)}.")
        ] = "info",
    ) -> None:
        raise typer.Exit(start(name, build, serve, conf=conf, instance=instance, http=http, log_level=log_level))

    app(prog_name=f"dialog-{name.value}")


def start(
    name: ServiceName,
    build: Build,
    serve: Serve = PageServer,
    *,
    conf: Path,
    instance: str,
    http: str,
    log_level: str,
) -> int:
    """Run the service until it is told to stop, and return the exit code."""
    try:
        options = _options(conf, instance, http, log_level)
        settings = load_settings(conf)
    except ConfigError as error:
        print(f"dialog-{name.value}: {error}", file=sys.stderr)  # noqa: T201  before there is a log
        return MISUSED
    configure(name.value, instance, log_level)
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(name, build, serve, options, settings))


def _options(conf: Path, instance: str, http: str, log_level: str) -> Options:
    host, _, port = http.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError("--http", f"{http!r}: allowed is HOST:PORT, such as 127.0.0.1:8080")
    if log_level not in LEVELS:
        raise ConfigError("--log-level", f"{log_level!r}: allowed is one of {', '.join(LEVELS)}")
    try:
        TypeAdapter(InstanceId).validate_python(instance)
    except ValidationError:
        raise ConfigError("--instance", f"{instance!r}: allowed are letters, digits and . _ - (at most 128)") from None
    return Options(conf, instance, host.strip("[]"), int(port), log_level)


async def _main(name: ServiceName, build: Build, serve: Serve, options: Options, settings: Settings) -> int:
    stop = _stop_on_signals()
    supervisor = Supervisor()
    health, metrics = Health(), Metrics()
    pages = serve(options.host, options.port, service_pages(health, metrics))
    try:
        address = await pages.open()
    except OSError as error:
        log.error("health pages cannot be opened", http=f"{options.host}:{options.port}", error=error.strerror)
        return MISUSED
    supervisor.start("health pages", pages)
    clock = SystemClock()
    bus = KafkaBus(
        settings.kafka,
        service=name.value,
        instance=options.instance,
        supervisor=supervisor,
        clock=clock,
        metrics=metrics,
    )
    service = Service(name, options.instance, settings, supervisor, bus, health, metrics, clock)
    try:
        await _live(service, build, stop, f"{address[0]}:{address[1]}")
    except ConfigError as error:
        print(f"dialog-{name.value}: {error}", file=sys.stderr)  # noqa: T201  as start() does
        return MISUSED
    except PartFailedError as error:
        log.error("service ends", reason=str(error), exc_info=error.__cause__)
        return CRASHED
    except Exception:
        log.exception("service ends", reason="it could not be built")
        return CRASHED
    finally:
        await supervisor.stop(STOP_WITHIN)
    log.info("stopped")
    return CLEAN


async def _live(service: Service, build: Build, stop: asyncio.Event, http: str) -> None:
    """Build, say so, wait for the signal, drain."""
    if not await _first(service, _assemble(service, build, http), stop):
        return
    # What is there by now stays: the collector need not walk over it again, 100 ms at a time.
    gc.collect()
    gc.freeze()
    service.health.started = True
    log.info("ready", http=http, pid=os.getpid(), version=_version(service.name))
    await _first(service, stop.wait(), None)
    service.health.draining = True
    log.info("stopping", drain_within=service.drain_within)
    if service.drain:
        await _drain(service)


async def _assemble(service: Service, build: Build, http: str) -> None:
    heartbeat = HeartbeatPart(
        service.bus.publisher,
        service.clock,
        service=service.name,
        instance=service.instance,
        version=_version(service.name),
        http=http,
        incarnation=service.incarnation,
        load=lambda: service.load(),  # noqa: PLW0108  build may replace it
        draining=lambda: service.health.draining,
    )
    service.health.add("kafka", heartbeat.kafka)
    while True:
        try:
            await ensure_topics(service.settings.kafka)
            break
        except BusTimeoutError as error:
            log.warning("still no Kafka", error=str(error))
    await build(service)
    service.supervisor.start("heartbeat", heartbeat)


async def _drain(service: Service) -> None:
    async def hooks() -> None:
        for hook in service.drain:
            await hook()

    try:
        async with asyncio.timeout(service.drain_within):
            await _first(service, hooks(), None)
    except TimeoutError:
        log.warning("not drained in time", within=service.drain_within)


async def _first(service: Service, work: Awaitable[object], stop: asyncio.Event | None) -> bool:
    """Wait for ``work``; false where ``stop`` came first. A part that fails meanwhile raises."""
    task = asyncio.ensure_future(work)
    failure = asyncio.create_task(service.supervisor.wait())
    others: set[asyncio.Future[object]] = {failure}  # type: ignore[arg-type]  # it only ever raises
    if stop is not None:
        others.add(asyncio.create_task(stop.wait()))
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
        if failure.done():
            await failure
        if task.done():
            await task
        return task.done()
    finally:
        for other in (task, *others):
            other.cancel()
        await asyncio.gather(task, *others, return_exceptions=True)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def told(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    return stop


def _version(name: ServiceName) -> str:
    return version(f"dialog-{name.value}")
