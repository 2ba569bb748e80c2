"""Kafka's Fetch request and response, version 11, as bytes (KIP-227 has the sessions).

aiokafka has both as well, built field by field from descriptions; these take a tenth of its time, which on the call
path was a third of all CPU. Version 11 came with Kafka 2.3, and 4.x still has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from struct import Struct
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Schema

API_KEY, VERSION = 1, 11
MIN_BYTES = 1
MAX_BYTES = 16 << 20
"""Of one response."""
MAX_PARTITION_BYTES = 1 << 20
"""Of one partition in it; the first record comes whatever its size (KIP-74)."""
READ_COMMITTED = 1

_HEAD = Struct(">iiiibii")
_WANTED = Struct(">iiqqi")
_ANSWER = Struct(">ihi")
_PARTITION = Struct(">ihqqq")
_ABORTED = Struct(">qq")
_INT = Struct(">i")
_SHORT = Struct(">h")
_NO_RACK = _SHORT.pack(0)
_ANY_REPLICA = _ANY_EPOCH = _ANY_START = -1


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a response says of one partition. ``aborted``: producer id and first offset of aborted transactions."""

    partition: TopicPartition
    error: int
    aborted: tuple[tuple[int, int], ...]
    records: bytes


class FetchResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """A decoded response; ``error`` is that of the session."""

    API_KEY = API_KEY
    API_VERSION = VERSION
    SCHEMA = Schema()

    def __init__(self, error: int, session_id: int, partitions: Sequence[Fetched]) -> None:
        self.error = error
        self.session_id = session_id
        self.partitions = partitions

    @classmethod
    def decode(cls, data: BytesIO) -> FetchResponse:
        """Read the rest of ``data``. Raises :class:`struct.error` where it ends too early."""
        buffer = data.getbuffer()
        at = data.tell()
        _, error, session_id = _ANSWER.unpack_from(buffer, at)
        at += _ANSWER.size
        partitions: list[Fetched] = []
        topics, at = _int(buffer, at)
        for _ in range(topics):
            at = _read_topic(buffer, at, partitions)
        return cls(error, session_id, partitions)


class FetchRequest(RequestStruct):  # type: ignore[misc]  # aiokafka has no types
    """A request; ``wanted`` is what the session does not know yet, with offsets, ``forgotten`` what it shall drop.

    Without records the broker waits up to ``wait_ms`` before it answers.
    """

    API_KEY = API_KEY
    API_VERSION = VERSION
    RESPONSE_TYPE = FetchResponse
    SCHEMA = Schema()

    def __init__(
        self,
        session: tuple[int, int],
        wanted: Mapping[TopicPartition, int],
        forgotten: Iterable[TopicPartition] = (),
        wait_ms: int = 500,
    ) -> None:
        self.session = session
        self.wanted = wanted
        self.forgotten = forgotten
        self.wait_ms = wait_ms

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> FetchRequest:
        """Return what is sent to a broker that knows these versions; aiokafka asks."""
        lowest, highest = versions.get(API_KEY, (0, 0))
        if not lowest <= VERSION <= highest:
            raise IncompatibleBrokerVersion(f"the broker has Fetch {lowest} to {highest}, {VERSION} is needed")
        return self

    def encode(self) -> bytes:
        """Return the request without its header."""
        head = (_ANY_REPLICA, self.wait_ms, MIN_BYTES, MAX_BYTES, READ_COMMITTED, *self.session)
        parts = [_HEAD.pack(*head)]
        wanted = {
            partition: _WANTED.pack(partition.partition, _ANY_EPOCH, offset, _ANY_START, MAX_PARTITION_BYTES)
            for partition, offset in self.wanted.items()
        }
        _write_topics(parts, wanted)
        _write_topics(parts, {partition: _INT.pack(partition.partition) for partition in self.forgotten})
        parts.append(_NO_RACK)
        return b"".join(parts)


def _write_topics(parts: list[bytes], partitions: Mapping[TopicPartition, bytes]) -> None:
    topics: dict[str, list[bytes]] = {}
    for partition, encoded in partitions.items():
        topics.setdefault(partition.topic, []).append(encoded)
    parts.append(_INT.pack(len(topics)))
    for topic, encodings in topics.items():
        name = topic.encode()
        parts += (_SHORT.pack(len(name)), name, _INT.pack(len(encodings)), *encodings)


def _read_topic(buffer: memoryview, at: int, partitions: list[Fetched]) -> int:
    (length,) = _SHORT.unpack_from(buffer, at)
    at += _SHORT.size + length
    topic = str(buffer[at - length : at], "utf-8")
    count, at = _int(buffer, at)
    for _ in range(count):
        fetched, at = _read_partition(buffer, at, topic)
        partitions.append(fetched)
    return at


def _read_partition(buffer: memoryview, at: int, topic: str) -> tuple[Fetched, int]:
    number, error, *_ = _PARTITION.unpack_from(buffer, at)
    count, at = _int(buffer, at + _PARTITION.size)
    end = at + max(count, 0) * _ABORTED.size
    aborted: tuple[Any, ...] = tuple(_ABORTED.iter_unpack(buffer[at:end]))
    # After them the replica that should be read from, which is none without a rack.
    length, at = _int(buffer, end + _INT.size)
    records = bytes(buffer[at : at + max(length, 0)])
    return Fetched(TopicPartition(topic, number), error, aborted, records), at + max(length, 0)


def _int(buffer: memoryview, at: int) -> tuple[int, int]:
    (number,) = _INT.unpack_from(buffer, at)
    return number, at + _INT.size
