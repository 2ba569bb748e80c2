"""Which lapses count, and what Kamailio's journal says of them."""

from __future__ import annotations

import pytest
from dialog_console.chaos.model.edits import Pbx, Row
from dialog_console.chaos.model.evidence import Lapse, RowWas, Span
from dialog_console.chaos.model.journal import lapses
from dialog_console.chaos.model.lapses import is_excused, lost, was_wanted

LAPSE = Lapse("alice", Pbx.SIMULATOR, 1000.0, 40)
ROW = Row("alice", Pbx.SIMULATOR)
EARLY = RowWas(1, 2, ROW)


@pytest.mark.parametrize(
    ("history", "wanted"),
    [
        ([EARLY], True),
        ([], False),
        ([RowWas(1, 2, Row("alice", Pbx.SIMULATOR, register=False))], False),
        ([RowWas(1, 2, Row("alice", Pbx.KAMAILIO))], False),
        ([EARLY, RowWas(10, 11, None)], False),
        ([EARLY, RowWas(970, 971, Row("alice", Pbx.SIMULATOR, can_call=False))], True),
        ([EARLY, RowWas(900, 985, Row("alice", Pbx.SIMULATOR, version=1))], True),
        ([EARLY, RowWas(970, 971, Row("alice", Pbx.SIMULATOR, right=False)), RowWas(975, 976, ROW)], False),
        ([EARLY, RowWas(970, 971, Row("alice", Pbx.KAMAILIO))], False),
        ([RowWas(970, 971, ROW)], False),
        ([EARLY, RowWas(1005, 1006, None)], False),
        ([EARLY, RowWas(1020, 1021, None)], True),
    ],
)
def test_a_lapse_counts_where_the_row_asked_for_the_binding_all_along(history: list[RowWas], wanted: bool) -> None:
    assert was_wanted(LAPSE, history) is wanted


@pytest.mark.parametrize(
    ("blocked", "seconds"),
    [
        ([], 0),
        ([Span("simulator", 995, 998)], 3),
        ([Span("simulator", 980, 996), Span("simulator", 995, 997)], 3),
        ([Span("kamailio", 980, 1010)], 0),
        ([Span("registrar-1", 980, 1010)], 0),
        ([Span("registrar-1", 980, 1010), Span("registrar-2", 998, 1010)], 2),
        ([Span("registrar-1", 980, 999), Span("kafka", 997, 1010)], 2),
        ([Span("kafka", 980, 1010), Span("postgres", 980, 1010)], 0),
    ],
)
def test_time_is_lost_where_nobody_could_have_renewed(blocked: list[Span], seconds: float) -> None:
    assert lost(Pbx.SIMULATOR, 994, 1000, blocked) == pytest.approx(seconds)


def test_a_registrar_that_is_down_alone_excuses_nothing() -> None:
    assert not is_excused(LAPSE, [Span("registrar-1", 900, 1100)])
    assert is_excused(LAPSE, [Span("simulator", 995, 999)])
    assert not is_excused(LAPSE, [Span("simulator", 995, 997)])


def _bound(at: float, user: str, contact: str) -> str:
    return f" 1(7) NOTICE: <script>: journal bound {at} {user} <{contact}>;expires=40, <sip:{user}@old:1>;expires=0"


def _expired(at: float, user: str, contact: str) -> str:
    return f" 3(9) NOTICE: <script>: journal expired {at} {user} {contact}"


def test_a_contact_that_ran_out_is_a_lapse_where_it_was_the_last() -> None:
    lines = ["noise", _bound(10, "bob", "sip:bob@h:1"), _expired(50.5, "bob", "sip:bob@h:1")]
    assert list(lapses(lines, 40)) == [Lapse("bob", Pbx.KAMAILIO, 50.5, 40)]


def test_the_contact_of_a_dead_registrar_runs_out_beside_that_of_its_successor() -> None:
    lines = [_bound(10, "bob", "sip:bob@h:1"), _bound(30, "bob", "sip:bob@h:2"), _expired(50.5, "bob", "sip:bob@h:1")]
    assert list(lapses(lines, 40)) == []
    late = [*lines, _expired(70.5, "bob", "sip:bob@h:2")]
    assert [lapse.ended for lapse in lapses(late, 40)] == [70.5]
