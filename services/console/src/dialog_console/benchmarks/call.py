"""``bench call``: the demo's calls, one after another, each direction, with CPU and latency.

The PBX and its phones run in this process, so that a command and the INVITE it causes are timed by one clock. CPU is
that of the three services alone, what they use while idle taken off; Kafka, PostgreSQL, the clients and the PBX are
not in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.dialing import Order
from dialog_sandbox.pbx.pbx import Pbx, PbxOptions
from dialog_sandbox.stack import Options, Ports, Stack
from dialog_sandbox.stack.temporary import temporary_state
from dialog_schemas.calls import Answered, Ended, RemoteRinging
from dialog_sip.aio import Direction, Trace
from pydantic import SecretStr

from dialog_console.benchmarks.process_stats import cpu_seconds, resident_bytes
from dialog_console.benchmarks.row import Aim, Row, percentile
from dialog_console.cli.bus import joined, kafka_settings
from dialog_console.demo.messenger import Messenger

USER = 434
WARM_UP, CALLS = 5, 40
"""Calls of each direction; those of the warm-up are not counted."""
IDLE_SECONDS = 5.0
DEADLINE = 180.0
SERVICES = ("provisioner-1", "registrar-1", "bridge-1")


@dataclass
class Times:
    """Seconds, one of each a call."""

    command_to_invite: list[float] = field(default_factory=list)
    start_to_ringing: list[float] = field(default_factory=list)
    answered_to_media: list[float] = field(default_factory=list)
    invite_to_incoming: list[float] = field(default_factory=list)
    hangup_to_ended: list[float] = field(default_factory=list)


@dataclass
class Invites:
    """When the PBX saw an INVITE from our side last."""

    at: float = 0.0

    def __call__(self, trace: Trace) -> None:
        """Be the PBX's trace hook."""
        if trace.direction is Direction.RECEIVED and trace.data.startswith(b"INVITE "):
            self.at = time.perf_counter()


@dataclass
class Bench:
    """What the calls need."""

    messenger: Messenger
    pbx: Pbx
    invites: Invites
    times: Times = field(default_factory=Times)

    async def outgoing(self) -> None:
        """Call echo until media flows, and hang up."""
        client, clock = self.messenger.client(), time.perf_counter
        client_offer = await client.offer()
        try:
            began = clock()
            call = await self.messenger.call(USER, "echo", client, offer=client_offer)
            await call.until(RemoteRinging)
            self.times.command_to_invite.append(self.invites.at - began)
            self.times.start_to_ringing.append(clock() - began)
            await call.until(Answered)
            answered = clock()
            await client.connected()
            self.times.answered_to_media.append(clock() - answered)
            hung_up = clock()
            await self.messenger.hang_up(call)
            await call.until(Ended)
            self.times.hangup_to_ended.append(clock() - hung_up)
        finally:
            await client.close()

    async def incoming(self) -> None:
        """Be called by a phone until media flows; the phone hangs up."""
        client, clock = self.messenger.client(), time.perf_counter
        try:
            began = clock()
            name = await self.pbx.call(Order("tone", str(USER)))
            call = await self.messenger.incoming(USER, client)
            self.times.invite_to_incoming.append(clock() - began)
            await self.messenger.accept(call)
            await call.until(Answered)
            await client.connected()
            await self.pbx.dialer.hangup(name)
            await call.until(Ended)
        finally:
            await client.close()


async def run() -> list[Row]:
    """Measure on a system of our own, nothing else running."""
    async with asyncio.timeout(DEADLINE), _system() as (bench, stack):
        for _ in range(WARM_UP):
            await bench.outgoing()
            await bench.incoming()
        bench.times = Times()
        pids = {name: stack.pids()[name] for name in SERVICES}
        idle = await _idle(pids)
        before, began = _cpu(pids), time.monotonic()
        for _ in range(CALLS):
            await bench.outgoing()
            await bench.incoming()
        lasted = time.monotonic() - began
        used = {name: cpu - before[name] - idle[name] * lasted for name, cpu in _cpu(pids).items()}
        memory = {name: resident_bytes(pid) for name, pid in stack.pids().items()}
    return [*_cpu_rows(used), *_time_rows(bench.times), *_memory_rows(memory)]


@asynccontextmanager
async def _system() -> AsyncIterator[tuple[Bench, Stack]]:
    invites = Invites()
    with temporary_state() as state:
        stack = Stack(Options(state=state, without=frozenset({"pbx", "console"}), ports=Ports()))
        options = PbxOptions(Accounts(SecretStr(stack.sip_password)), port=0)
        async with Pbx(options, invites) as pbx:
            stack.options = Options(state=state, without=frozenset({"pbx", "console"}), ports=Ports(sip=pbx.address[1]))
            async with stack, joined(kafka_settings(stack.conf, "", "")) as bus:
                messenger = Messenger(bus)
                await messenger.ready()
                await messenger.create_user(USER, "Bench")
                await messenger.registered(USER)
                yield Bench(messenger, pbx, invites), stack


async def _idle(pids: dict[str, int]) -> dict[str, float]:
    """Return the CPU seconds a second that each process uses while nothing happens."""
    before = _cpu(pids)
    await asyncio.sleep(IDLE_SECONDS)
    return {name: (cpu - before[name]) / IDLE_SECONDS for name, cpu in _cpu(pids).items()}


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def _cpu_rows(used: dict[str, float]) -> list[Row]:
    calls = 2 * CALLS
    rows = [Row(f"CPU a call, {name.removesuffix('-1')}", cpu / calls * 1000, "ms") for name, cpu in used.items()]
    peers = "LiveKit SIP 51-75, Janus 8.0"
    return [Row("CPU a call, all services", sum(used.values()) / calls * 1000, "ms", Aim(8), peers), *rows]


def _time_rows(times: Times) -> list[Row]:
    def row(name: str, seconds: list[float], percent: float, aim: Aim | None = None, peers: str = "") -> Row:
        return Row(f"{name} p{percent:g}", percentile(seconds, percent) * 1000, "ms", aim, peers)

    return [
        row("command to INVITE on the wire", times.command_to_invite, 50, Aim(5), "LiveKit 24, Janus 2"),
        row("command to INVITE on the wire", times.command_to_invite, 99, Aim(20), "LiveKit 70, Janus 6"),
        row("start to ringing", times.start_to_ringing, 50),
        row("answered to media", times.answered_to_media, 50),
        row("PBX's INVITE to incoming", times.invite_to_incoming, 50),
        row("hang-up to ended", times.hangup_to_ended, 50),
    ]


def _memory_rows(memory: dict[str, int]) -> list[Row]:
    return [Row(f"resident memory, {name}", size / 2**20, "MB") for name, size in sorted(memory.items())]
