"""A record on its way to the broker, and the ways to make one."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import NamedTuple
from uuid import uuid4

from dialog_schemas.cloudevents import Envelope, common_headers, encode
from dialog_schemas.event import Event
from dialog_schemas.relay import Headers, Relay
from dialog_schemas.topics import DEAD_LETTERS, Topic, inbox

from dialog_runtime.bus.record import Record

_ERROR_WORDS = 1000
"""How much of an error's text goes into a dead letter."""


class Message(NamedTuple):
    """One record to send. ``topic`` is without the prefix; ``partition`` is for producers that own one."""

    topic: str
    key: str | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None

    @property
    def size(self) -> int:
        """Bytes, about."""
        size = len(self.value or b"") + len(self.key or "")
        for name, value in self.headers:
            size += len(name) + len(value)
        return size


def event_message(
    topic: Topic,
    key: str,
    event: Event,
    *,
    source: str,
    at: datetime,
    event_id: str | None = None,
    trace: str | None = None,
) -> Message:
    """Wrap ``event`` as a CloudEvent. Without ``event_id`` it gets one of its own."""
    value, headers = encode(
        Envelope(id=event_id or uuid4().hex, source=source, subject=key, time=at, event=event, trace=trace)
    )
    return Message(topic.name, key, value, headers)


class Stamp:
    """Wraps events of one kind that are made at one moment, hundreds of them: what they share is written once.

    Their values are written by who makes them, as JSON that the kind's model reads.
    """

    __slots__ = ("_headers", "_ids", "_topic")

    def __init__(self, topic: Topic, kind: type[Event], *, source: str, at: datetime) -> None:
        self._topic = topic.name
        self._headers = common_headers(kind, source, at)
        self._ids = map(f"{uuid4().hex}-{{}}".format, count())

    def message(self, key: str, value: bytes, event_id: bytes | None = None) -> Message:
        """Return ``value`` as a record; without ``event_id`` with an id of its own."""
        headers = (*self._headers, ("ce_id", event_id or next(self._ids).encode()), ("ce_subject", key.encode()))
        return Message(self._topic, key, value, headers)


def relay_message(to: Topic | str, relay: Relay, key: str | None = None) -> Message:
    """Wrap a SIP message for a topic, or for the inbox of the instance named ``to``."""
    return Message(target(to).name, key, relay.sip, relay.headers())


def forwarded_message(to: Topic | str, record: Record) -> Message:
    """Send ``record`` on as it came, with its event id."""
    return Message(target(to).name, record.key, record.value, record.headers)


def tombstone_message(topic: Topic, key: str) -> Message:
    """Drop ``key`` from a compacted topic."""
    return Message(topic.name, key, None)


def dead_letter_message(record: Record, error: BaseException, *, source: str, at: datetime) -> Message:
    """Keep ``record`` as it came, with where it was and what was wrong in ``dead_letter_*`` headers."""
    why = {
        "dead_letter_topic": record.topic,
        "dead_letter_partition": str(record.partition),
        "dead_letter_offset": str(record.offset),
        "dead_letter_error": in_words(error),
        "dead_letter_source": source,
        "dead_letter_time": at.isoformat(),
    }
    headers = tuple(pair for pair in record.headers if pair[0] not in why)
    headers += tuple((name, text.encode("utf-8", "replace")) for name, text in why.items())
    # A record without key and value cannot be sent; an empty value says the same here.
    value = b"" if record.value is None and record.key is None else record.value
    return Message(DEAD_LETTERS.name, record.key, value, headers)


def in_words(error: BaseException) -> str:
    """Say what was wrong without quoting what may be secret.

    Errors of ours are written for people to read. Of any other only type and place are told: its text may hold the
    very value that it complains about.
    """
    if type(error).__module__.startswith("dialog_"):
        return f"{type(error).__name__}: {error}"[:_ERROR_WORDS]
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" in {frame.tb_frame.f_code.co_qualname} line {frame.tb_lineno}"
    return f"{type(error).__name__}{place}"


def target(to: Topic | str) -> Topic:
    """Return the topic that ``to`` names: itself, or the inbox of an instance."""
    return inbox(to) if isinstance(to, str) else to
