"""``events``: options to events, records to lines."""

from __future__ import annotations

import json

import pytest
from dialog_console.cli import events
from dialog_runtime.bus.record import Record
from dialog_sandbox.errors import SandboxError
from dialog_schemas.calls import Hangup, SendDtmf, Start
from dialog_schemas.cloudevents import Envelope, encode
from dialog_schemas.event import Event
from dialog_schemas.relay import Relay, RelayKind
from dialog_schemas.topics import CALL_COMMANDS, USERS
from dialog_schemas.users import UserCreated


def record(event: Event, topic: str = "users", key: str | None = "434") -> Record:
    value, headers = encode(Envelope(id="e-1", source="/dialog/1", subject=key, time=None, event=event))
    return Record(topic, 0, 5, key, value, headers, 1_900_000_000_123)


def test_options_become_an_event() -> None:
    topic, event = events.parse("user-created", ["--user-id", "434", "--name=Ann", "--is-bot", "true"])
    assert (topic, event) == (USERS, UserCreated(user_id=434, name="Ann", is_bot=True))
    topic, event = events.parse("call-send-dtmf", ["--call-id", "c", "--digits", "12#", "--duration_ms", "200"])
    assert (topic, event) == (CALL_COMMANDS, SendDtmf(call_id="c", digits="12#", duration_ms=200))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("user-married", [], "no event user-married: there are user-created"),
        ("user-created", ["434"], "'434' is no option"),
        ("user-created", ["--user-id"], "--user-id has no value"),
        ("user-created", ["--user-id", "1", "--age", "9"], "user-created has no age: it has user_id"),
        ("user-created", ["--user-id", "many"], "--user-id: Input should be a valid integer"),
        ("call-hangup", [], "--call-id: Field required"),
    ],
)
def test_what_is_no_event_is_one_line(name: str, options: list[str], words: str) -> None:
    with pytest.raises(SandboxError, match=words):
        events.parse(name, options)


def test_keys_are_those_of_the_contract() -> None:
    assert events.key_of(UserCreated(user_id=434)) == "434"
    assert events.key_of(UserCreated(user_id=0)) == "0"
    assert events.key_of(Hangup(call_id="5f1c")) == "5f1c"
    assert events.key_of(Start(call_id="5f1c", user_id=434, to="echo", sdp="v=0")) == "5f1c"


def test_topics_are_named_without_prefix() -> None:
    assert events.topic_named("users") is USERS
    assert events.topic_named("inbox.bridge-1").name == "inbox.bridge-1"
    with pytest.raises(SandboxError, match="no topic user: there are users"):
        events.topic_named("user")


def test_a_line_has_topic_key_event_and_fields() -> None:
    line = events.line(record(UserCreated(user_id=434, name="Ann")))
    assert line.split(maxsplit=1)[1].split() == ["users", "434", "user-created", "user_id=434", "name=Ann",
                                                 "is_bot=False"]  # fmt: skip
    assert line[8:12] == ".123"


def test_a_line_leaves_out_what_is_too_long_for_it() -> None:
    line = events.line(record(Start(call_id="c", user_id=1, to="echo", sdp="v=0"), "call.commands", "c"))
    assert "sdp" not in line
    assert "to=echo" in line


def test_tombstones_relays_and_junk_are_lines_too() -> None:
    assert events.line(Record("sip.mappings", 0, 1, "434@pbx", None)).endswith("(gone)")
    assert "? " in events.line(Record("users", 0, 1, None, b"junk"))
    relay = Relay(RelayKind.REQUEST, "t-1", "434@pbx", b"OPTIONS sip:434@pbx SIP/2.0\r\n\r\n", sender="r-1")
    line = events.line(Record("sip.requests", 0, 1, "x", relay.sip, relay.headers()))
    assert line.endswith("OPTIONS sip:434@pbx SIP/2.0")


def test_json_has_all_of_a_record() -> None:
    told = json.loads(events._as_json(record(UserCreated(user_id=434))))
    assert (told["topic"], told["partition"], told["offset"], told["key"]) == ("users", 0, 5, "434")
    assert told["headers"]["ce_id"] == "e-1"
    assert json.loads(told["value"])["user_id"] == 434
    assert json.loads(events._as_json(Record("sip.mappings", 0, 1, "k", None)))["value"] is None
