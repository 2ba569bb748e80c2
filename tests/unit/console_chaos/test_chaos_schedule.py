"""The schedule of faults: repeatable, complete, and within its guard."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from dialog_console.chaos.injector import faults_of
from dialog_console.chaos.model.faults import SORTS, Act, Fault, Sort, Target
from dialog_console.chaos.model.schedule import SHARE, Schedule, allowed, generate, margin
from dialog_sandbox.simulator import Challenge, Faults
from dialog_sip.registration.timing import refresh_delay

GRANTED = 90
BUDGET = SHARE * margin(GRANTED)


def fault(act: Act, target: Target, at: float = 0.0, lasts: float = 0.0, instance: str = "") -> Fault:
    sort = next(sort for sort in SORTS if (sort.act, sort.target) == (act, target))
    return Fault(1, sort, instance or target.value, at, lasts)


def overlapping(schedule: Schedule) -> list[tuple[Fault, Fault]]:
    return [
        (one, other)
        for one, other in combinations(schedule.faults, 2)
        if one.at < other.over and other.at < one.over
    ]  # fmt: skip


def test_the_same_seed_gives_the_same_schedule_and_another_one_another() -> None:
    assert generate(7, 60, 720, GRANTED) == generate(7, 60, 720, GRANTED)
    assert generate(7, 60, 720, GRANTED).faults != generate(8, 60, 720, GRANTED).faults


@pytest.mark.parametrize("seed", range(20))
def test_every_sort_comes_before_any_comes_twice(seed: int) -> None:
    counts = Counter(it.sort for it in generate(seed, 60, 720, GRANTED).faults)
    assert counts.total() == 60
    assert set(counts) == set(SORTS)
    assert max(Counter(it.sort for it in generate(seed, len(SORTS), 200, GRANTED).faults).values()) == 1


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("count", "seconds", "granted"), [(60, 720, 90), (12, 45, 40), (80, 200, 40)])
def test_never_two_registrars_at_once_and_never_one_part_twice(
    seed: int, count: int, seconds: float, granted: float
) -> None:
    for one, other in overlapping(generate(seed, count, seconds, granted)):
        assert [one.sort.target, other.sort.target] != [Target.REGISTRAR] * 2
        if one.instance == other.instance:
            assert one.instance == "simulator"
            assert Act.LOSS in {one.sort.act, other.sort.act}
            assert one.sort != other.sort


@pytest.mark.parametrize("seed", range(20))
def test_faults_overlap_and_stay_near_their_time(seed: int) -> None:
    schedule = generate(seed, 60, 720, GRANTED)
    assert overlapping(schedule)
    assert schedule.lasts < 720 + 60
    assert [it.at for it in schedule.faults] == sorted(it.at for it in schedule.faults)
    assert [it.number for it in schedule.faults] == list(range(1, 61))


def test_each_kind_of_process_is_killed_told_to_end_and_stopped() -> None:
    of_ours = (Target.PROVISIONER, Target.REGISTRAR, Target.BROKER, Target.TABLE)
    for target in of_ours:
        assert {sort.act for sort in SORTS if sort.target is target} == {Act.KILL, Act.TERMINATE, Act.STOP}


def test_a_registrar_and_a_broker_go_down_together_only_where_the_margin_is_long() -> None:
    killed, broker = fault(Act.KILL, Target.REGISTRAR, instance="registrar-1"), fault(Act.KILL, Target.BROKER, 1)
    assert not allowed(broker, [killed], SHARE * margin(40))
    assert allowed(broker, [killed], SHARE * margin(120))
    assert allowed(fault(Act.KILL, Target.BROKER, killed.over), [killed], 0)


def test_broker_and_table_may_be_away_together_since_registrars_need_neither_to_refresh() -> None:
    assert allowed(fault(Act.KILL, Target.TABLE, 1), [fault(Act.KILL, Target.BROKER)], 0)


def test_loss_goes_with_anything() -> None:
    loss = fault(Act.LOSS, Target.SIMULATOR, 0, 10)
    assert allowed(fault(Act.AWAY, Target.SIMULATOR, 1, 1), [loss], BUDGET)
    assert not allowed(fault(Act.LOSS, Target.SIMULATOR, 1, 5), [loss], BUDGET)
    assert not allowed(fault(Act.AWAY, Target.SIMULATOR, 1, 1), [fault(Act.BRIEF, Target.SIMULATOR, 0, 5)], BUDGET)


@pytest.mark.parametrize("granted", [30, 40, 60, 90, 120, 600])
def test_the_margin_is_what_registrars_leave(granted: float) -> None:
    assert granted - refresh_delay(granted, 1800, 1.0) == pytest.approx(margin(granted))


def test_the_simulator_is_told_all_that_is_wrong_now() -> None:
    wrong = [fault(Act.LOSS, Target.SIMULATOR), fault(Act.BRIEF, Target.SIMULATOR)]
    assert faults_of(wrong, 40) == Faults(loss=0.05, min_expires=80)
    assert faults_of([fault(Act.WRONG_NONCE, Target.SIMULATOR)], 40).challenge is Challenge.REFUSE
    assert faults_of([], 40) == Faults()


def test_a_fault_says_what_it_is() -> None:
    assert str(fault(Act.STOP, Target.TABLE, lasts=2)) == "SIGSTOP postgres for 2.0 s"
    assert str(fault(Act.KILL, Target.BROKER)) == "SIGKILL kafka"
    assert isinstance(SORTS[0], Sort)
