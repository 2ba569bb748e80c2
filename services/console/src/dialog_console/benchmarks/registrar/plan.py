"""Which phases run on which system, and in which order."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine

from dialog_sandbox.simulator import Faults

from dialog_console.benchmarks.registrar import kamailio, latency, phases, plot
from dialog_console.benchmarks.registrar.options import Options
from dialog_console.benchmarks.registrar.system import running
from dialog_console.benchmarks.row import Aim, Row

LONG = 3600
"""Seconds granted where nobody is to refresh."""
MARGIN = 3600.0
"""Seconds for everything, beyond what is watched."""


async def run(options: Options) -> list[Row]:
    """Measure."""
    async with asyncio.timeout(MARGIN):
        return await (_quick(options) if options.quick else _full(options))


async def _quick(options: Options) -> list[Row]:
    """Do everything on one system: grants are long again when the PBX is back, so that the restart finds quiet."""
    users = options.users[0]
    async with running(granted=LONG) as system:
        await system.pbx.set(Faults(grant=options.granted))
        rows = await phases.first(system, users)
        rows += await phases.steady(system, users, options.granted, options.steady, settle=options.granted / 2)
        rows += _drawn(options, await phases.outage(system, users, options.away, Faults()))
        rows += await phases.restart(system, users, options.looks_back)
        return rows + await latency.created(system, 50, 1) + await latency.edited(system, 20, 1)


async def _full(options: Options) -> list[Row]:
    rows: list[Row] = []
    for users in options.users:
        rows += await _unless_late(f"{users:,} users: first registrations", _first(options, users))
    for users in options.users:
        rows += await _unless_late(f"{users:,} users: steady state", _refreshing(options, users))
    rows += await _unless_late("latency", _latency())
    return rows + await kamailio.beside(options.users, options)


async def _unless_late(what: str, phase: Coroutine[None, None, list[Row]]) -> list[Row]:
    """Do something; where it does not come to its end in time, that is one missed row, and the others are measured."""
    try:
        return await phase
    except TimeoutError:
        return [Row(f"{what}: not done in time", math.nan, "", Aim(0), "nothing measured")]


async def _first(options: Options, users: int) -> list[Row]:
    async with running(granted=LONG) as system:
        rows = await phases.first(system, users)
        return rows + await phases.restart(system, users, options.looks_back)


async def _latency() -> list[Row]:
    async with running(granted=LONG) as system:
        return await latency.created(system, 50, 20) + await latency.edited(system, 20, 20)


async def _refreshing(options: Options, users: int) -> list[Row]:
    async with running(granted=options.granted) as system:
        await system.load(range(users))
        await system.registered(users, within=phases.bound_within(users))
        rows = await phases.steady(system, users, options.granted, options.steady, settle=options.granted)
        if users == options.outage_users:
            rows += _drawn(options, await phases.outage(system, users, options.away, Faults()))
        return rows


def _drawn(options: Options, outage: phases.Outage) -> list[Row]:
    if options.plot is not None:
        options.plot.write_text(plot.outage(outage.series, outage.gone, options.away))
    return outage.rows
