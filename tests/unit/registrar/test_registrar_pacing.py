"""The pacer and the timers under it: windows, silence, and the end of it, by a clock that is a number."""

from __future__ import annotations

import random

import pytest
from dialog_registrar.model.expiring import Expiring
from dialog_registrar.model.pacing import OVERDUE, PROBE_EVERY, SLOW_START, WINDOW, Outcome, Pacer
from dialog_registrar.model.timers import Timers


def asked(pacer: Pacer[str, str], server: str, count: int, deadline: float = 0.0) -> list[str]:
    keys = [f"{server}/{n}" for n in range(count)]
    for key in keys:
        pacer.ask(server, key, deadline)
    return keys


def test_lets_no_more_go_than_the_window_holds() -> None:
    pacer: Pacer[str, str] = Pacer(window=5)
    keys = asked(pacer, "a", 12)
    assert list(pacer.take(0.0)) == keys[:5]
    assert list(pacer.take(0.1)) == []
    for key in keys[:3]:
        pacer.done(key, Outcome.ANSWERED, 0.2)
    assert list(pacer.take(0.2)) == keys[5:8]


def test_the_most_urgent_goes_first() -> None:
    pacer: Pacer[str, str] = Pacer(window=1)
    pacer.ask("a", "first", 30.0)
    pacer.ask("a", "about to lapse", 5.0)
    assert list(pacer.take(0.0)) == ["about to lapse"]


def test_servers_share_the_window() -> None:
    pacer: Pacer[str, str] = Pacer(window=4)
    for server in ("a", "b"):
        asked(pacer, server, 10)
    gone = list(pacer.take(0.0))
    for key in gone:
        pacer.done(key, Outcome.ANSWERED, 0.1)
    assert {key[0] for key in gone + list(pacer.take(0.1))} == {"a", "b"}


def test_what_is_withdrawn_is_not_let_go() -> None:
    pacer: Pacer[str, str] = Pacer()
    keys = asked(pacer, "a", 3)
    pacer.withdraw(keys[0])
    assert list(pacer.take(0.0)) == keys[1:]
    assert pacer.waiting == 0


def test_a_silent_server_keeps_nobody_elses_place() -> None:
    pacer: Pacer[str, str] = Pacer(window=8)
    asked(pacer, "dead", 100)
    assert len(list(pacer.take(0.0))) == 8
    alive = asked(pacer, "alive", 8)
    assert pacer.next() == OVERDUE
    assert list(pacer.take(OVERDUE)) == alive
    assert pacer.silent_since("dead") == 0.0


def test_a_silent_server_gets_one_request_each_probe_interval() -> None:
    pacer: Pacer[str, str] = Pacer()
    asked(pacer, "dead", 1000)
    sent = len(list(pacer.take(0.0)))
    now, until = 0.0, 60.0
    while (now := pacer.next() or until) < until:
        sent += len(list(pacer.take(now)))
    assert sent <= WINDOW + until / PROBE_EVERY


def test_the_first_answer_ends_the_silence_and_the_window_opens_slowly() -> None:
    pacer: Pacer[str, str] = Pacer()
    keys = asked(pacer, "a", 1000)
    list(pacer.take(0.0))
    list(pacer.take(OVERDUE))
    assert pacer.done(keys[0], Outcome.ANSWERED, 10.0)
    assert not pacer.done(keys[1], Outcome.ANSWERED, 10.0)
    assert len(list(pacer.take(10.0))) == SLOW_START + 2


def test_one_user_that_is_not_answered_does_not_silence_the_server() -> None:
    pacer: Pacer[str, str] = Pacer()
    asked(pacer, "a", 2)
    list(pacer.take(0.0))
    pacer.done("a/1", Outcome.ANSWERED, 0.1)
    pacer.ask("a", "more", 0.0)
    assert list(pacer.take(OVERDUE)) == ["more"]


def test_a_refused_request_is_a_silence_at_once() -> None:
    pacer: Pacer[str, str] = Pacer()
    asked(pacer, "a", 1)
    list(pacer.take(0.0))
    pacer.done("a/0", Outcome.SILENT, 0.01)
    pacer.ask("a", "next", 0.0)
    assert list(pacer.take(0.02)) == []
    assert pacer.next() == 0.01 + PROBE_EVERY
    assert list(pacer.take(0.01 + PROBE_EVERY)) == ["next"]


def test_a_closed_server_waits_and_others_go_on() -> None:
    pacer: Pacer[str, str] = Pacer()
    pacer.close("busy", 30.0)
    pacer.ask("busy", "b", 0.0)
    pacer.ask("idle", "i", 0.0)
    assert list(pacer.take(0.0)) == ["i"]
    pacer.done("i", Outcome.ANSWERED, 0.1)
    assert pacer.next() == 30.0
    assert list(pacer.take(30.0)) == ["b"]


def test_nothing_to_do_means_no_wake_up() -> None:
    pacer: Pacer[str, str] = Pacer()
    asked(pacer, "a", 3)
    for key in list(pacer.take(0.0)):
        pacer.done(key, Outcome.ANSWERED, 0.1)
    assert pacer.next() is None


def test_timers_come_in_order_once_each_and_never_pile_up() -> None:
    rng = random.Random(1)
    timers: Timers[int] = Timers()
    last: dict[int, float] = {}
    for _ in range(20_000):
        key = rng.randrange(100)
        last[key] = rng.random()
        timers.set(key, last[key])
    for key in range(0, 100, 7):
        timers.cancel(key)
        del last[key]
    assert len(timers._heap) < 300
    popped = []
    while (key := timers.pop(1.0)) is not None:
        popped.append(key)
    assert popped == sorted(last, key=lambda key: last[key])
    assert timers.next() is None


def test_the_expiring_table_forgets_by_age_and_by_number() -> None:
    table: Expiring[str, int] = Expiring(lifetime=10.0, limit=2)
    table.put("a", 1, 0.0)
    table.put("b", 2, 1.0)
    assert table.get("a", 5.0) == 1
    table.put("c", 3, 6.0)
    assert table.get("b", 6.0) is None
    assert list(table.expired(15.5)) == [("a", 1)]
    assert table.get("c", 17.0) is None
    assert len(table) == 1


@pytest.mark.parametrize(("users", "within", "most"), [(200, 3.0, 130), (3000, 5.0, 1000), (10_000, 10.0, 1500)])
def test_after_a_silence_those_that_wait_go_one_by_one_and_quickly_if_they_are_many(
    users: int, within: float, most: int
) -> None:
    pacer: Pacer[str, str] = Pacer()
    asked(pacer, "a", users)
    assert list(pacer.take(0.0))
    now, times = OVERDUE, list[float]()
    while pacer.waiting and now < 60:
        for key in pacer.take(now):
            pacer.done(key, Outcome.ANSWERED, now)
            times.append(now)
        now += 0.05
    assert len(times) == users - WINDOW
    assert times[-1] - times[0] < within
    assert max(sum(1 for time in times if start <= time < start + 1) for start in set(times)) < most


def test_of_what_is_stuck_at_a_silent_server_one_goes_on_being_sent() -> None:
    pacer: Pacer[str, str] = Pacer()
    first, second, third = asked(pacer, "a", 3)
    alone = asked(pacer, "b", 1)
    assert list(pacer.take(0.0)) == [first, second, third, *alone]
    assert list(pacer.take(OVERDUE)) == []
    assert pacer.take_stuck() == [second, third]
    pacer.done(first, Outcome.SILENT, 32.0)
    pacer.ask("a", "next", 0.0)
    assert list(pacer.take(40.0)) == ["next"]
    assert list(pacer.take(40.0 + OVERDUE)) == []
    assert pacer.take_stuck() == []
    assert set(pacer.stuck("a")) == {second, third, "next"}
