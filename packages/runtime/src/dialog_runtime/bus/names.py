"""Topic names with and without the configured prefix."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Names:
    """Knows ``services.kafka.topic-prefix``."""

    prefix: str

    def full(self, topic: Topic | str) -> str:
        """Return the name at the broker."""
        return self.prefix + (topic if isinstance(topic, str) else topic.name)

    def short(self, name: str) -> str:
        """Return the name as the contract has it."""
        return name.removeprefix(self.prefix)
