"""The line of a key, in every way that HOCON lets one write it."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialog_runtime.config.locate import locate
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a = 1", "a", 1),
        ("a : 1\n\n b.c=2", "b.c", 3),
        ("a { b = 1 }", "a.b", 1),
        ("a {\n b {\n  c = 1\n }\n}\nd = 2", "d", 6),
        ("a {\n b {\n  c = 1\n }\n}\nd = 2", "a.b.c", 3),
        ("a.b { c = 1 }\na.b.c = 2", "a.b.c", 2),
        ("a = 1\na = 2\n", "a", 2),
        ("# a = 0\n// a = 0\na = 1 # a = 2", "a", 3),
        ('"a" { "b" = 1 }', "a.b", 1),
        ('a { "b.c" = 1 }', "a", 1),
        ("{\n a = 1\n}", "a", 2),
        ("a = [\n {b = 1},\n {b = 2}\n]\nc = 3", "c", 5),
        ("a = [\n {b = 1},\n {b = 2}\n]", "a.1.b", 3),
        ('a = "}{"\nb = 1', "b", 2),
        ('a = """x\n} y = 1\n"""\nb = 1', "b", 4),
        ('a = "http://x"\nb = 1', "b", 2),
        ("a = ${x}\nb = ${?y}", "b", 2),
        ("a += 1\nb = 2", "b", 2),
        ("a {b = 1} {c = 2}\nd = 1", "a.c", 1),
        ("a {b = 1} {c = 2}\nd = 1", "d", 2),
        ("a = 1, b = 2\nc = 3", "b", 1),
        ("a =\n  1\nb = 2", "b", 3),
        ("a : { b : 1\n, c : 2 }", "a.c", 2),
        ("a b = 1\nc = 2", "c", 2),
    ],
)
def test_line(text: str, key: str, line: int) -> None:
    found = locate(text, Path("x.conf"))
    assert tuple(key.split(".")) in found.places
    assert found.place(tuple(key.split("."))).line == line


def test_a_key_that_is_not_there_is_placed_at_its_block() -> None:
    found = locate("x = 1\na {\n b = 1\n}\n", Path("x.conf"))
    assert found.place(("a", "nope")).line == 2
    assert found.place(("nope",)).line == 1


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("a = 007", "007"),
        ("a = 5d # five", "5d"),
        ("a = 1 // x", "1"),
        ('a = "7"', None),
        ("a = ${x}", None),
        ("a {}", None),
    ],
)
def test_a_bare_value_as_it_is_written(text: str, raw: str | None) -> None:
    assert locate(text, Path("x.conf")).raw(("a",)) == raw


def test_keys_of_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("\n\nb = 1\n")
    found = locate('a {\n include "more.conf"\n c = 2\n}', tmp_path / "server.conf")
    assert str(found.place(("a", "b"))) == f"{tmp_path / 'more.conf'}:3"
    assert found.place(("a", "c")).line == 3


def test_an_include_of_itself_ends(tmp_path: Path) -> None:
    file = tmp_path / "server.conf"
    file.write_text('include "server.conf"\na = 1\n')
    assert locate(file.read_text(), file).place(("a",)).line == 2


@given(st.text(alphabet='ab.={}[]":#/\n ,$+1', max_size=60))
def test_any_text_comes_to_an_end(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= place.line <= lines for place in locate(text, Path("x")).places.values())
