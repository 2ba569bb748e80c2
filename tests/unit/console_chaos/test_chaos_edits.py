"""The plan of edits: repeatable, and its last table is what the edits make of the first."""

from __future__ import annotations

from collections import Counter

import pytest
from dialog_console.chaos.model.edits import Deed, Edit, Pbx, Row, dialog_user_row, plan, play


def test_the_same_seed_gives_the_same_plan() -> None:
    assert plan(3, 100, 60, 2) == plan(3, 100, 60, 2)
    assert plan(3, 100, 60, 2).edits != plan(4, 100, 60, 2).edits


@pytest.mark.parametrize("seed", range(10))
def test_edits_played_on_the_first_table_give_the_last(seed: int) -> None:
    made = plan(seed, 200, 120, 5)
    table = {row.user: row for row in made.first}
    for edit in made.edits:
        play(edit, table)
    assert table == made.last


@pytest.mark.parametrize("seed", range(10))
def test_an_edit_done_twice_is_an_edit_done_once(seed: int) -> None:
    made = plan(seed, 50, 60, 5)
    table = {row.user: row for row in made.first}
    for edit in made.edits:
        play(edit, table)
        play(edit, table)
    assert table == made.last


def test_every_deed_is_done_in_time_and_the_table_keeps_its_size() -> None:
    made = plan(1, 1000, 700, 5)
    assert set(Counter(edit.deed for edit in made.edits)) == set(Deed)
    assert [edit.at for edit in made.edits] == sorted(edit.at for edit in made.edits)
    assert 700 < len(made.last) < 1400
    assert {row.pbx for row in made.last.values()} == set(Pbx)


def test_most_rows_are_to_be_registered() -> None:
    made = plan(1, 1000, 700, 5)
    assert sum(row.is_bound for row in made.last.values()) > len(made.last) / 2


def test_rows_of_dialog_users_are_left_to_their_events() -> None:
    for edit in plan(5, 20, 400, 5).edits:
        if not edit.dialog_user:
            assert not any(user.startswith("d") for user in edit.users)


@pytest.mark.parametrize(
    ("row", "bound"),
    [
        (Row("u1", Pbx.SIMULATOR), True),
        (Row("u1", Pbx.SIMULATOR, register=False), False),
        (Row("u1", Pbx.SIMULATOR, right=False), False),
        (Row("u1", Pbx.SIMULATOR, usable=False), False),
        (Row("u1", Pbx.SIMULATOR, can_call=False), True),
    ],
)
def test_a_binding_is_wanted_of_a_usable_row_with_the_right_password(row: Row, bound: bool) -> None:
    assert row.is_bound is bound


def test_an_edit_names_whom_it_is_about() -> None:
    edit = Edit(0, Deed.COPY, (dialog_user_row(7), Row("u1", Pbx.KAMAILIO)), gone=("u2",))
    assert edit.users == ("d7", "u1", "u2")
