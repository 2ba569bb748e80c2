"""Fetch requests and responses as bytes, the session that they make, and where records wait."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11
from dialog_runtime.bus.fetching.feed import FULL, FULL_BYTES, Batch, Feed
from dialog_runtime.bus.fetching.session import FetchSession
from dialog_runtime.bus.fetching.wire import MAX_BYTES, MAX_PARTITION_BYTES, Fetched, FetchRequest, FetchResponse

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)


def test_a_request_is_what_kafka_describes() -> None:
    request = FetchRequest((7, 3), {A0: 5, A1: 6, B0: 2**40}, [TopicPartition("c", 9)], wait_ms=500)
    topics = [
        ("a", [(0, -1, 5, -1, MAX_PARTITION_BYTES), (1, -1, 6, -1, MAX_PARTITION_BYTES)]),
        ("b", [(0, -1, 2**40, -1, MAX_PARTITION_BYTES)]),
    ]
    expected = FetchRequest_v11(-1, 500, 1, MAX_BYTES, 1, 7, 3, topics, [("c", [9])], "")
    assert request.encode() == expected.encode()


def test_a_response_is_read_as_kafka_describes_it() -> None:
    sent = FetchResponse_v11(
        0,
        0,
        77,
        [
            ("a", [(0, 0, 10, 10, 0, [(5, 1), (6, 2)], -1, b"records"), (1, 6, -1, -1, -1, None, -1, None)]),
            ("b", [(0, 0, 3, 3, 0, [], -1, b"")]),
        ],
    )
    response = FetchResponse.decode(BytesIO(sent.encode()))
    assert (response.error, response.session_id) == (0, 77)
    assert response.partitions == [
        Fetched(A0, 0, ((5, 1), (6, 2)), b"records"),
        Fetched(A1, 6, (), b""),
        Fetched(B0, 0, (), b""),
    ]


def test_a_broker_that_is_too_old_is_told_apart() -> None:
    request = FetchRequest((0, 0), {A0: 0})
    assert request.prepare({1: (4, 17)}) is request
    with pytest.raises(IncompatibleBrokerVersion):
        request.prepare({1: (0, 10)})


def answer(session_id: int = 77, error: int = 0) -> FetchResponse:
    return FetchResponse(error, session_id, ())


def test_a_session_names_everything_once_and_then_what_changed() -> None:
    session = FetchSession()
    first = session.request({A0: 0, B0: 0}, 500)
    assert (first.session, dict(first.wanted), set(first.forgotten)) == ((0, 0), {A0: 0, B0: 0}, set())
    assert session.answered(answer())
    second = session.request({A0: 4, A1: 1}, 500)
    assert (second.session, dict(second.wanted), set(second.forgotten)) == ((77, 1), {A0: 4, A1: 1}, {B0})
    assert session.answered(answer())
    third = session.request({A0: 4, A1: 1}, 500)
    assert (third.session, dict(third.wanted), set(third.forgotten)) == ((77, 2), {}, set())


def test_a_session_that_the_broker_does_not_know_starts_anew() -> None:
    session = FetchSession()
    session.request({A0: 0}, 500)
    session.answered(answer())
    session.request({A0: 3}, 500)
    assert not session.answered(answer(0, error=70))
    again = session.request({A0: 3}, 500)
    assert (again.session, dict(again.wanted)) == ((0, 0), {A0: 3})


def test_a_request_without_an_answer_starts_anew() -> None:
    session = FetchSession()
    session.request({A0: 0}, 500)
    session.answered(answer())
    session.request({A0: 3}, 500)
    session.lost()
    assert session.request({A0: 3}, 500).session == (0, 0)


def test_without_room_for_a_session_every_request_is_a_first_one() -> None:
    session = FetchSession()
    session.request({A0: 0}, 500)
    assert session.answered(answer(0))
    again = session.request({A0: 0}, 500)
    assert (again.session, dict(again.wanted)) == ((0, 0), {A0: 0})


def batch(count: int, next_offset: int, size: int = 10) -> Batch:
    return Batch(A0, ["r"] * count, next_offset, size)


async def test_records_wait_until_they_are_taken() -> None:
    feed = Feed(None, {A0: 0}, lambda: None)
    taking = asyncio.create_task(feed.take())
    await asyncio.sleep(0)
    feed.put(batch(2, 2))
    assert await taking == [batch(2, 2)]
    assert feed.offsets == {A0: 2}


@pytest.mark.parametrize("much", [batch(FULL, FULL), batch(1, 1, FULL_BYTES)])
async def test_a_feed_that_is_full_says_when_it_no_longer_is(much: Batch) -> None:
    looks: list[bool] = []
    feed = Feed(None, {A0: 0}, lambda: looks.append(True))
    feed.put(much)
    assert feed.is_full
    await feed.take()
    assert not feed.is_full
    assert looks == [True]


async def test_whoever_waits_is_told_that_a_feed_is_closed() -> None:
    feed = Feed("a", {A0: 0}, lambda: None)
    taking = asyncio.create_task(feed.take())
    await asyncio.sleep(0)
    feed.close()
    assert await taking == []
    assert await feed.take() == []
