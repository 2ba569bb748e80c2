"""What is done to a running system, one function a figure. Each returns rows, and leaves the system to the next."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from dialog_sandbox.simulator import Faults
from dialog_sandbox.simulator.counts import Sample
from dialog_sandbox.simulator.process import State

from dialog_console.benchmarks.registrar.system import REGISTRAR, System
from dialog_console.benchmarks.row import Aim, Row

PBX_BUSY = 0.8
"""Share of a CPU from which on the simulator is what is measured."""
RESTARTED_WITHIN = 30.0
RENEWALS_TOLD_WITHIN = 3.5
"""Seconds after which a registrar has published that bindings were renewed."""


def bound_within(users: int) -> float:
    """Return the seconds that so many users get to be registered: at 300 a second a machine is too slow to tell."""
    return 60 + users / 300


async def first(system: System, users: int) -> list[Row]:
    """Register so many users that were never registered: 401, digest, 200, status."""
    idle = await system.idle(2)
    await system.pbx.reset()
    memory, before, began = system.resident(), system.cpu(), time.monotonic()
    await system.load(range(users))
    state = await system.registered(users, within=bound_within(users))
    lasted = time.monotonic() - began
    await system.quiet()
    used = system.cpu() - before - idle * (time.monotonic() - began)
    size = f"{users:,} users: "
    return [
        Row(
            f"{size}CPU per 1,000 first registrations", used / users * 1000, "s", Aim(0.075),
            "OpenSIPS .15, Kamailio .21-.25, Asterisk .40",
        ),
        Row(f"{size}all registered after", lasted, "s"),
        Row(f"{size}REGISTERs against the least", sent(state) / (2 * users), "", Aim(1.01)),
        Row(f"{size}most REGISTERs in 100 ms", state.counts["peak_100ms"], ""),
        Row(
            f"{size}memory per registration", (system.resident() - memory) / users, "B",
            Aim(2048) if users >= 10_000 else None, "OpenSIPS 13 KB, Kamailio 19, Asterisk 50",
        ),
        pbx_row(size, state),
    ]  # fmt: skip


async def restart(system: System, users: int, looks_back: float) -> list[Row]:
    """Kill the registrar while everybody is registered for long, and count what it sends when it is back."""
    # At rest: of renewals in the last three seconds nobody would know (docs/decisions/111).
    await asyncio.sleep(RENEWALS_TOLD_WITHIN)
    await system.pbx.reset()
    old = system.pid
    system.stack.kill(REGISTRAR)
    await _restarted(system, old)
    await asyncio.sleep(looks_back)
    state = await system.pbx.state()
    needless = state.counts["early"] + state.counts["registrations"]
    size = f"{users:,} users: "
    return [
        Row(f"{size}REGISTERs after kill -9 for what is still valid", needless, "", Aim(0), "others: everybody"),
        Row(f"{size}still registered after it", state.bound, "", Aim(users, at_most=False)),
    ]


async def steady(system: System, users: int, granted: int, seconds: float, settle: float) -> list[Row]:
    """Watch refreshes."""
    await asyncio.sleep(settle)
    await system.pbx.reset()
    before, began = system.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    used, lasted = system.cpu() - before, time.monotonic() - began
    state = await system.pbx.state()
    size = f"{users:,} users, {granted} s granted: "
    aim = {10_000: Aim(0.9), 100_000: Aim(10)}.get(users)
    peers = {10_000: "OpenSIPS 1.8, Kamailio 2.2, Asterisk 4.5", 100_000: "Kamailio 35"}.get(users, "")
    lapsed = {10_000: "OpenSIPS 1,455, Kamailio 0-93, Asterisk 0", 100_000: "Kamailio 94,599"}.get(users, "")
    return [
        Row(f"{size}CPU", used / lasted * 100, "%", aim, peers),
        Row(f"{size}lapses", state.lapses, "", Aim(0), lapsed),
        Row(f"{size}REGISTERs a second", state.counts["registers"] / lasted, "1/s"),
        Row(f"{size}REGISTERs against the least", state.counts["registers"] / (users * lasted / granted), ""),
        Row(f"{size}most refreshes in a second", state.counts["accepted_peak_1s"], ""),
        pbx_row(size, state),
    ]


@dataclass(frozen=True, slots=True)
class Outage:
    """What an outage showed."""

    rows: list[Row]
    series: list[Sample]
    gone: float
    """When it began, by the clock of the series."""


async def outage(system: System, users: int, away: float, faults: Faults) -> Outage:
    """Take the PBX away, then bring it back without its bindings; ``faults`` are those that it comes back with."""
    await system.pbx.reset()
    began = time.time()
    await system.pbx.set(Faults(away=True))
    await asyncio.sleep(away)
    unheard = sent(await system.pbx.state())
    await system.pbx.forget()
    await system.pbx.set(faults)
    back = time.monotonic()
    await system.registered(users, within=bound_within(users))
    lasted = time.monotonic() - back
    state = await system.pbx.state()
    await asyncio.sleep(3)
    series = [sample for sample in await system.pbx.series() if sample.at >= began - 15]
    size = f"{users:,} users, PBX {away:g} s away: "
    full = users == 10_000
    rows = [
        Row(f"{size}all back after", lasted, "s", Aim(15), "16-35"),
        Row(
            f"{size}REGISTERs, retransmissions and unheard ones included", sent(state), "",
            Aim(20_500) if full else Aim(2.5 * users), "30,400-50,551, least 20,000" if full else "",
        ),
        Row(f"{size}of these while it was away", unheard, ""),
        Row(f"{size}most REGISTERs in 100 ms", state.counts["peak_100ms"], ""),
    ]  # fmt: skip
    return Outage(rows, series, began)


def sent(state: State) -> int:
    """Return how many datagrams with a REGISTER arrived at the PBX, heard or not."""
    counts = state.counts
    return int(counts["registers"] + counts["duplicates"] + counts["unheard"])


def pbx_row(size: str, state: State) -> Row:
    """Tell whether the simulator was the bottleneck."""
    lag = state.load["longest_lag"] * 1000
    return Row(
        f"{size}CPU share of the simulated PBX", state.load["cpu_share"], "", Aim(PBX_BUSY), f"its lag: {lag:.0f} ms"
    )


async def _restarted(system: System, old: int) -> None:
    async with asyncio.timeout(RESTARTED_WITHIN):
        restarts = system.stack.restarts()[REGISTRAR]
        while system.stack.pids().get(REGISTRAR) in {None, old} or not restarts:
            await asyncio.sleep(0.1)
            restarts = system.stack.restarts()[REGISTRAR]
