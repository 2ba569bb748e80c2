"""A record of topic ``dead-letters``: what came, where it came, and why it could not be handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dialog_runtime.bus.record import Record
from dialog_schemas.topics import MAPPINGS, TOPICS, Cleanup, Topic, inbox

ADDED = "dead_letter_"
"""Every header that was put on it starts so."""

INBOX = "inbox."


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter. ``number`` names it: its offset, for the topic has one partition."""

    record: Record

    @property
    def number(self) -> int:
        """What ``show`` and ``replay`` are given."""
        return self.record.offset

    @property
    def topic(self) -> str:
        """The topic that it came on, without the prefix."""
        return self._header(f"{ADDED}topic")

    @property
    def event_type(self) -> str:
        """The CloudEvents type, or blank."""
        return self._header("ce_type")

    @property
    def error(self) -> str:
        """Why it could not be handled."""
        return self._header(f"{ADDED}error")

    @property
    def source(self) -> str:
        """``/service/instance`` that could not handle it."""
        return self._header(f"{ADDED}source")

    @property
    def original(self) -> Record:
        """The record as it came: key, value and headers."""
        headers = tuple(pair for pair in self.record.headers if not pair[0].startswith(ADDED))
        return self.record._replace(topic=self.topic, headers=headers)

    def replay_to(self) -> Topic:
        """Return the topic to put it on again. Raises :class:`ValueError` with the reason where it must not be.

        A compacted topic holds states: an old one put on it again would be taken for the present one. Only what is
        wrong on ``sip.mappings`` is put right, by the provisioner.
        """
        if self.topic.startswith(INBOX):
            return inbox(self.topic.removeprefix(INBOX))
        found = next((topic for topic in TOPICS if topic.name == self.topic), None)
        if found is None:
            raise ValueError(f"its topic {self.topic or '(none is named)'} is none of ours")
        if found.cleanup is Cleanup.COMPACT and found is not MAPPINGS:
            raise ValueError(f"{found.name} holds states, and this one may be old by now")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        value = self.record.value
        return {
            "number": self.number,
            "time": self.record.time.isoformat(),
            "topic": self.topic,
            "partition": self._header(f"{ADDED}partition"),
            "offset": self._header(f"{ADDED}offset"),
            "source": self.source,
            "error": self.error,
            "key": self.record.key,
            "headers": {name: raw.decode(errors="replace") for name, raw in self.original.headers},
            "value": None if value is None else value.decode(errors="replace"),
        }

    def _header(self, name: str) -> str:
        return next((raw.decode(errors="replace") for key, raw in self.record.headers if key == name), "")
