"""Odd PBXs over real sockets: no storm, no herd, and back quickly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from dialog_sandbox.simulator import Faults, Simulator
from dialog_sandbox.simulator.process import State
from fixtures.kamailio import PASSWORD
from fixtures.registrar_stage import Stage
from pydantic import SecretStr

pytestmark = pytest.mark.needs("kafka", "postgres")

USERS = 30
MOST_IN_20_S = 6


@pytest.fixture
async def pbx(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(SecretStr(PASSWORD), tmp_path, expires=20) as simulator:
        yield simulator


async def until(pbx: Simulator, holds: Callable[[State], bool], within: float) -> State:
    """Look at the PBX until something holds."""
    ends = time.monotonic() + within
    while not holds(state := await pbx.state()):
        assert time.monotonic() < ends, state
        await asyncio.sleep(0.1)
    return state


async def rows(stage: Stage, pbx: Simulator, transport: str = "udp") -> None:
    await asyncio.gather(*(stage.row(f"u{number}", pbx.port, transport=transport) for number in range(USERS)))


async def test_a_connection_that_is_closed_after_each_200_makes_no_storm(stage: Stage, pbx: Simulator) -> None:
    await pbx.set(Faults(close_after_200=True))
    await stage.start("r1")
    await rows(stage, pbx, "tcp")
    state = await until(pbx, lambda state: state.load["seconds"] > 30, within=60)
    assert state.counts["most_in_20_s"] <= MOST_IN_20_S
    await pbx.set(Faults())
    await until(pbx, lambda state: state.bound == USERS, within=30)


async def test_an_outage_costs_two_registers_each_and_a_handful(stage: Stage, pbx: Simulator) -> None:
    await stage.start("r1")
    await rows(stage, pbx)
    await until(pbx, lambda state: state.bound == USERS, within=30)
    await pbx.set(Faults(away=True))
    await until(pbx, lambda state: state.bound == 0, within=40)
    await pbx.forget()
    await pbx.reset()
    await pbx.set(Faults())
    state = await until(pbx, lambda state: state.bound == USERS, within=15)
    assert state.counts["registers"] + state.counts["duplicates"] <= 2 * USERS + 10
    assert state.counts["cseq_back"] == state.counts["call_ids_changed"] == 0


async def test_loss_makes_no_lapse(stage: Stage, pbx: Simulator) -> None:
    await pbx.set(Faults(loss=0.05))
    await stage.start("r1")
    await rows(stage, pbx)
    await until(pbx, lambda state: state.bound == USERS, within=30)
    state = await until(pbx, lambda state: state.counts["refreshes"] >= 2 * USERS, within=60)
    assert state.lapses == 0
    assert state.counts["most_in_20_s"] <= MOST_IN_20_S


async def test_a_pbx_with_a_single_user_that_was_away_for_a_moment_is_asked_on(stage: Stage, pbx: Simulator) -> None:
    await pbx.set(Faults(away=True))
    await stage.start("r1")
    await stage.row("alone", pbx.port)
    began = (await pbx.state()).load["seconds"]
    await until(pbx, lambda state: state.load["seconds"] > began + 6, within=30)
    await pbx.set(Faults())
    await until(pbx, lambda state: state.bound == 1, within=30)
