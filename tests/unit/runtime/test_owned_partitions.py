"""Whether a partition may be acted for, as far as that can be told without a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from dialog_runtime.bus.errors import PartitionLostError
from dialog_runtime.bus.owned.ownership import OwnedPartitions
from dialog_runtime.bus.owned.session import SessionState
from dialog_runtime.clock import ManualClock

SESSION_TIMEOUT = 2.0


async def nothing() -> None:
    return


def owned(clock: ManualClock, **sessions: SessionState) -> OwnedPartitions:
    membership: Any = SimpleNamespace(session_timeout=SESSION_TIMEOUT)
    tools: Any = SimpleNamespace(inputs="t.in")
    made = OwnedPartitions(membership, tools, nothing, clock)
    made._sessions = {int(name[1:]): SimpleNamespace(state=state) for name, state in sessions.items()}  # type: ignore[misc]
    return made


@pytest.mark.parametrize(("asleep", "may"), [(0.0, True), (0.6, True), (0.8, False), (1.9, False), (3600.0, False)])
def test_who_slept_for_more_than_a_nap_may_not_act(asleep: float, may: bool) -> None:
    clock = ManualClock()
    partitions = owned(clock, p3=SessionState.HELD)
    clock.advance(asleep)
    assert partitions.may_act(3) is may


@pytest.mark.parametrize("state", list(SessionState))
def test_only_what_is_held_is_acted_for(state: SessionState) -> None:
    partitions = owned(ManualClock(), p3=state)
    assert partitions.may_act(3) is (state is SessionState.HELD)
    assert not partitions.may_act(4)


async def test_partitions_are_being_taken_until_all_that_were_dealt_are_here() -> None:
    partitions = owned(ManualClock())
    seen = [partitions.taking]
    await partitions.on_partitions_assigned(set())
    seen.append(partitions.taking)
    session: Any = SimpleNamespace(taken=False, pause=nothing, resume=lambda: None)
    partitions._sessions[3] = session
    seen.append(partitions.taking)
    session.taken = True
    seen.append(partitions.taking)
    await partitions.on_partitions_revoked(set())
    seen.append(partitions.taking)
    await partitions.on_partitions_assigned({TopicPartition("t.in", 3)})
    seen.append(partitions.taking)
    assert seen == [True, False, True, False, True, False]


@pytest.mark.parametrize("partition", [3, 4])
def test_what_is_not_here_is_not_written(partition: int) -> None:
    with pytest.raises(PartitionLostError):
        owned(ManualClock(), p3=SessionState.RELEASED).commit(partition, ())
