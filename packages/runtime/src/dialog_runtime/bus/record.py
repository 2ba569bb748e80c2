"""A record as handlers see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from dialog_schemas.cloudevents import Envelope, decode
from dialog_schemas.relay import Headers, Relay


class Record(NamedTuple):
    """One Kafka record. ``topic`` is without the configured prefix, ``timestamp`` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: str | None
    """UTF-8; a foreign producer's stray bytes are kept as surrogates."""
    value: bytes | None
    """None is a tombstone."""
    headers: Headers = ()
    timestamp: int = 0

    @property
    def is_tombstone(self) -> bool:
        """True where the key is gone from a compacted topic."""
        return self.value is None

    @property
    def is_relay(self) -> bool:
        """True where it is a relayed SIP message and no CloudEvent."""
        return Relay.is_relay(self.headers)

    @property
    def time(self) -> datetime:
        """When the producer sent it."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    def envelope(self) -> Envelope:
        """Decode the CloudEvent. Raises :class:`~dialog_schemas.cloudevents.MalformedEventError`."""
        return decode(self.value, self.headers)

    def relay(self) -> Relay:
        """Decode the SIP message. Raises :class:`~dialog_schemas.relay.MalformedRelayError`."""
        return Relay.decode(self.value, self.headers)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


def key_bytes(key: str | None) -> bytes | None:
    """Return the key as it goes to the broker."""
    return None if key is None else key.encode("utf-8", "surrogateescape")


def key_text(key: bytes | None) -> str | None:
    """Return the key as handlers see it; :func:`key_bytes` gives the same bytes back."""
    return None if key is None else key.decode("utf-8", "surrogateescape")
