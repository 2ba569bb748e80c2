from __future__ import annotations

from typing import Any

from dialog_provisioner.model.diff import Change, Comparison, changes
from dialog_runtime.table.check import Checked, check
from dialog_runtime.table.duplicates import base_of, settle
from dialog_runtime.table.rows import Address, Head, Row
from dialog_schemas.mappings import MappingRejected, MappingUpserted

AOR = "1@pbx"


def row(user: str = "1", xmin: int = 1, **columns: Any) -> Row:
    return Row(user, "pbx", f"c.{xmin}", **{"peer_type": "1", "peer_id": "1", **columns})


def head(user: str = "1", xmin: int = 1) -> Head:
    return Head(Address(user, "pbx"), f"c.{xmin}")


def published(*rows: Row) -> dict[str, Checked]:
    said: dict[str, Checked] = {}
    apply(said, changes({row.address.aor for row in rows}, rows, said))
    return said


def apply(said: dict[str, Checked], found: list[Change]) -> None:
    for key, event in found:
        if event is None:
            del said[key]
        else:
            said[key] = event


def test_a_new_row_is_published_once() -> None:
    said: dict[str, Checked] = {}
    found = changes([AOR], [row()], said)
    assert found == [Change(AOR, check(row()))]
    apply(said, found)
    assert changes([AOR], [row()], said) == []


def test_a_changed_password_is_another_revision_and_published() -> None:
    (change,) = changes([AOR], [row(xmin=2)], published(row()))
    assert change.event is not None
    assert change.event.revision == "c.2"


def test_a_row_that_is_gone_leaves_a_tombstone() -> None:
    assert changes([AOR], [], published(row())) == [Change(AOR, None)]


def test_a_comparison_finds_new_changed_and_gone_rows() -> None:
    comparison = Comparison(published(row("1"), row("2"), row("3")))
    comparison.see([head("1"), head("2", xmin=9), head("4")])
    assert comparison.dirty == {Address("2", "pbx"), Address("4", "pbx")}
    assert comparison.gone() == {"3@pbx"}


def test_a_comparison_of_what_is_published_finds_nothing() -> None:
    rows = [row("1"), row("2", sip_port="0")]
    comparison = Comparison(published(*rows))
    comparison.see([head("1"), head("2")])
    assert (comparison.dirty, comparison.gone()) == (set(), set())


def test_a_second_row_is_reported_and_leaves_the_first_in_use() -> None:
    said = published(row(xmin=5))
    first = said[AOR]
    apply(said, changes([AOR], [row(xmin=6, peer_id="2"), row(xmin=5)], said))
    assert said[AOR] == first
    spare = said[f"{AOR} (row 2)"]
    assert isinstance(spare, MappingRejected)
    assert "the one with peer_id 1" in spare.reason
    assert "this one has peer_id 2" in spare.reason


def test_an_edit_of_the_row_in_use_keeps_it_in_use() -> None:
    said = published(row(xmin=5))
    apply(said, changes([AOR], [row(xmin=5), row(xmin=6, peer_id="2")], said))
    apply(said, changes([AOR], [row(xmin=7), row(xmin=6, peer_id="2")], said))
    used = said[AOR]
    assert isinstance(used, MappingUpserted)
    assert (used.peer_id, used.revision) == (1, "c.7")


def test_a_usable_row_comes_before_one_that_is_not() -> None:
    settled = settle([row(xmin=1, sip_port="0"), row(xmin=2)], None)
    assert isinstance(settled[AOR], MappingUpserted)


def test_of_new_rows_the_oldest_is_used() -> None:
    settled = settle([row(xmin=10, peer_id="2"), row(xmin=9, peer_id="3")], None)
    assert settled[AOR].revision == "c.9"


def test_where_the_first_of_two_goes_the_second_takes_its_place() -> None:
    said = published(row(xmin=5), row(xmin=6, peer_id="2"))
    found = changes([AOR], [row(xmin=6, peer_id="2")], said)
    assert Change(f"{AOR} (row 2)", None) in found
    assert {key: event and event.revision for key, event in found}[AOR] == "c.6"


def test_a_comparison_looks_at_doubled_rows_again_until_they_are_single() -> None:
    said = published(row(xmin=5), row(xmin=6, peer_id="2"))
    comparison = Comparison(said)
    comparison.see([head(xmin=5)])
    assert comparison.dirty == {Address("1", "pbx")}
    comparison = Comparison(said)
    assert comparison.gone() == {AOR}
    assert {change.key for change in changes(comparison.gone(), [], said)} == {AOR, f"{AOR} (row 2)"}


def test_the_key_of_a_second_row_names_its_aor() -> None:
    assert (base_of("1@pbx (row 12)"), base_of("1@pbx")) == ("1@pbx", "1@pbx")
