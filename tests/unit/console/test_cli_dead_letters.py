"""Dead letters: read, shown, and what is put back where."""

from __future__ import annotations

import pytest
from dialog_console.cli import dead_letters
from dialog_console.model.dead_letter import DeadLetter
from dialog_runtime.bus.errors import PermanentError
from dialog_runtime.bus.message import dead_letter_message
from dialog_runtime.bus.record import Record
from dialog_runtime.testing.memory import MemoryBroker
from dialog_sandbox.errors import SandboxError
from dialog_schemas.topics import DEAD_LETTERS
from rich.console import Console
from typer.testing import CliRunner

HEADERS = (("ce_id", b"e-1"), ("ce_type", b"im.dlg.sip.user-created"), ("odd", b"\xff"))


def letter(topic: str = "users", number: int = 3, key: str | None = "434", value: bytes | None = b"{") -> DeadLetter:
    from datetime import UTC, datetime

    source = Record(topic, 2, 17, key, value, HEADERS)
    at = datetime(2030, 1, 1, tzinfo=UTC)
    message = dead_letter_message(source, PermanentError("no [b]use[/b]"), source="/provisioner/p-1", at=at)
    return DeadLetter(Record(DEAD_LETTERS.name, 0, number, message.key, message.value, message.headers))


def test_a_dead_letter_tells_where_it_came_from_and_why() -> None:
    found = letter()
    assert (found.number, found.topic, found.event_type, found.source) == (
        3, "users", "im.dlg.sip.user-created", "/provisioner/p-1")  # fmt: skip
    assert found.error == "PermanentError: no [b]use[/b]"
    told = found.as_json()
    assert (told["partition"], told["offset"], told["key"], told["value"]) == ("2", "17", "434", "{")
    assert told["headers"] == {"ce_id": "e-1", "ce_type": "im.dlg.sip.user-created", "odd": "\ufffd"}


def test_a_record_that_is_none_of_ours_is_shown_all_the_same() -> None:
    found = DeadLetter(Record(DEAD_LETTERS.name, 0, 1, None, b"x"))
    assert (found.topic, found.error) == ("", "")
    with pytest.raises(ValueError, match="none of ours"):
        found.replay_to()


async def test_replay_puts_the_original_back() -> None:
    broker = MemoryBroker()
    bus = broker.bus("cli")
    assert await dead_letters.put_back(bus, [letter(), letter("inbox.bridge-1")])  # type: ignore[arg-type]
    (record,) = broker.log["users"]
    assert (record.key, record.value, record.headers) == ("434", b"{", HEADERS)
    assert len(broker.log["inbox.bridge-1"]) == 1


async def test_what_cannot_be_put_back_is_said_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    broker = MemoryBroker()
    bus = broker.bus("cli")
    letters = [letter("sip.registrations", 1), letter("elsewhere", 2), letter("sip.mappings", 3)]
    assert not await dead_letters.put_back(bus, letters)  # type: ignore[arg-type]
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "1 not replayed: sip.registrations holds states, and this one may be old by now",
        "2 not replayed: its topic elsewhere is none of ours",
        "3 replayed to sip.mappings",
    ]
    broker.away = True
    assert not await dead_letters.put_back(bus, [letter()])  # type: ignore[arg-type]


def test_numbers_and_topics_choose() -> None:
    letters = [letter(number=3), letter("call.commands", 4)]
    assert [it.number for it in dead_letters.of_topic(letters, "users")] == [3]
    assert len(dead_letters.of_topic(letters, "")) == 2
    assert dead_letters.numbered(letters, 4).topic == "call.commands"
    with pytest.raises(SandboxError, match="no dead letter 9: there are 3 to 4"):
        dead_letters.numbered(letters, 9)
    with pytest.raises(SandboxError, match="there is none"):
        dead_letters.numbered([], 9)


def test_the_table_shows_the_newest_and_no_markup() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(dead_letters.shown([letter(number=n) for n in range(dead_letters.MOST_ROWS + 5)]))
    text = captured.get()
    assert "Dead letters: 205" in text
    assert "no [b]use[/b]" in text
    assert "│ 4 " not in text
    assert "│ 204 " in text


@pytest.mark.parametrize("arguments", [[], ["3", "--all"], ["3", "--topic", "users"]])
def test_replay_wants_to_know_which(arguments: list[str]) -> None:
    from dialog_console.cli import app

    result = CliRunner().invoke(app.build(), ["dead-letters", "replay", *arguments])
    assert isinstance(result.exception, SandboxError)
