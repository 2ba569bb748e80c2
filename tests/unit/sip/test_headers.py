"""The header section as an ordered multimap."""

import pytest
from dialog_sip import Headers, LocalProtocolError, NameAddr
from dialog_sip.headers import COMPACT_FORMS, key_of


def made(*items: tuple[str, str]) -> Headers:
    return Headers(items)


def test_names_compare_without_case_and_in_compact_form() -> None:
    headers = made(("v", "one"), ("VIA", "two"), ("Via", "three"))
    assert headers.get("via") == "one"
    assert headers.get_all("V") == ["one", "two", "three"]
    assert "Via" in headers
    assert "To" not in headers
    assert 5 not in headers


@pytest.mark.parametrize(("compact", "key"), COMPACT_FORMS.items())
def test_every_compact_form(compact: str, key: str) -> None:
    assert key_of(compact) == key_of(compact.upper()) == key_of(key) == key


def test_what_is_missing() -> None:
    headers = made()
    assert headers.get("To") is None
    assert headers.get("To", "x") == "x"
    assert headers.get_all("To") == []
    assert headers.encode() == ""
    assert len(headers) == 0


def test_lists_run_over_lines() -> None:
    headers = made(("Allow", "INVITE, ACK"), ("Allow", ",BYE , "), ("Supported", "100Rel"))
    assert headers.get_list("Allow") == ["INVITE", "ACK", "BYE"]
    assert headers.has_token("Supported", "100rel")
    assert not headers.has_token("Supported", "timer")


def test_set_replaces_all_lines_in_the_place_of_the_first() -> None:
    headers = made(("A", "1"), ("B", "2"), ("A", "3"))
    headers.set("a", "4")
    assert list(headers.items()) == [("a", "4"), ("B", "2")]
    headers.set("C", "5")
    assert list(headers.items()) == [("a", "4"), ("B", "2"), ("C", "5")]


def test_set_first_leaves_the_others() -> None:
    headers = made(("Via", "1"), ("Via", "2"))
    headers.set_first("Via", "3")
    headers.set_first("To", "4")
    assert list(headers.items()) == [("Via", "3"), ("Via", "2"), ("To", "4")]


def test_prepend_insert_and_remove() -> None:
    headers = made(("B", "2"))
    headers.prepend("A", "1")
    headers.insert(1, "X", "9")
    headers.remove("b")
    headers.remove("nothing")
    assert list(headers.items()) == [("A", "1"), ("X", "9")]


def test_lines_are_copied_as_they_stand() -> None:
    source = made(("v", "one"), ("To", "x"), ("Via", "two"))
    target = made(("From", "y"))
    target.copy_from(source, "Via")
    assert target.encode() == "From: y\r\nv: one\r\nVia: two\r\n"


def test_a_copy_is_independent() -> None:
    headers = made(("A", "1"))
    copy = headers.copy()
    copy.add("B", "2")
    assert "B" not in headers
    assert headers != copy
    assert headers == made(("A", "1"))
    assert headers != "A: 1"


def test_values_may_be_structured() -> None:
    headers = Headers([("To", NameAddr.make("sip:a@h")), ("Max-Forwards", 70)])
    assert headers.encode() == "To: <sip:a@h>\r\nMax-Forwards: 70\r\n"


@pytest.mark.parametrize(
    ("name", "value"), [("A", "1\r\nB: 2"), ("A", "\n"), ("A\r\n", "1"), ("", "1"), ("A:", "1"), ("A B", "1")]
)
def test_nothing_that_breaks_the_message_gets_in(name: str, value: str) -> None:
    with pytest.raises(LocalProtocolError):
        made().add(name, value)


def test_parsed_values_are_remembered_until_their_header_changes() -> None:
    headers = made(("Date", "1"), ("B", "1"))
    calls: list[str] = []

    def parse(text: str) -> str:
        calls.append("parsed")
        return text

    assert headers.read("date", parse) == headers.read("date", parse) == "1"
    headers.set("B", "2")
    assert headers.read("date", parse) == "1"
    assert len(calls) == 1
    for change, expected in (
        (lambda: headers.set("Date", "2"), "2"),
        (lambda: headers.set_first("date", "3"), "3"),
        (lambda: headers.prepend("Date", "0"), "0"),
        (lambda: headers.remove("Date"), None),
        (lambda: headers.add("Date", "9"), "9"),
    ):
        change()
        assert headers.read("date", parse) == expected


def test_a_copied_line_is_seen_by_accessors() -> None:
    headers = made()
    assert headers.read("date", str) is None
    headers.copy_from(made(("Date", "1")), "Date")
    assert headers.read("date", str) == "1"
