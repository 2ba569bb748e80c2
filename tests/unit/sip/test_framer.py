"""Streams to messages by Content-Length, however the stream is cut."""

from itertools import pairwise

import pytest
from dialog_sip import Framer
from dialog_sip.framer import PING
from hypothesis import given
from hypothesis import strategies as st

ONE = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 3\r\n\r\nabc"
TWO = b"SIP/2.0 200 OK\r\nl : 0\r\nX: Content-Length: 9\r\n\r\n"
THREE = b"OPTIONS sip:h SIP/2.0\r\nCONTENT-LENGTH:\r\n 4\r\n\r\n\r\n\r\n"


def test_messages_and_keepalives_come_out_in_order() -> None:
    framer = Framer()
    stream = b"\r\n" + ONE + PING + TWO + PING + PING + THREE
    assert framer.feed(stream) == [ONE, PING, TWO, PING, PING, THREE]
    assert framer.error is None


def test_a_message_in_two_halves() -> None:
    framer = Framer()
    assert framer.feed(ONE[:-1]) == []
    assert framer.feed(ONE[-1:] + TWO[:5]) == [ONE]
    assert framer.feed(TWO[5:]) == [TWO]


def test_a_pong_says_nothing() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(ONE) == [ONE]


BROKEN = [
    b"OPTIONS sip:h SIP/2.0\r\nTo: x\r\n\r\n",
    b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\nab",
    b"OPTIONS sip:h SIP/2.0\r\nContent-Length: -1\r\n\r\n",
    b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 1x\r\n\r\n",
    b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 99999999999999\r\n\r\n",
    b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 70000\r\n\r\n",
    b"\rX",
    b"x" * 70000,
]


@pytest.mark.parametrize("stream", BROKEN)
def test_a_stream_that_breaks_the_framing_ends(stream: bytes) -> None:
    framer = Framer()
    assert framer.feed(ONE + stream) == [ONE]
    assert framer.error is not None
    assert framer.feed(ONE) == []


def test_the_same_length_twice_is_no_contradiction() -> None:
    message = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 1\r\nl: 1\r\n\r\na"
    assert Framer().feed(message) == [message]


def test_the_bound_holds_for_the_whole_message() -> None:
    framer = Framer(max_message=len(ONE))
    assert framer.feed(ONE) == [ONE]
    framer.feed(ONE.replace(b": 3", b": 4"))
    assert framer.error is not None
    assert framer.error.status == 513


def test_a_head_byte_by_byte_is_scanned_once() -> None:
    framer = Framer()
    head = b"OPTIONS sip:h SIP/2.0\r\nX: " + b"x" * 50000 + b"\r\nContent-Length: 0\r\n\r\n"
    frames = [frame for index in range(len(head)) for frame in framer.feed(head[index : index + 1])]
    assert frames == [head]


_PIECES = st.lists(st.sampled_from([ONE, TWO, THREE, PING, b"\r\n", *BROKEN[:7]]), max_size=8)


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(_PIECES, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cut_of_a_stream_gives_the_same(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole, chunked = Framer(), Framer()
    expected = whole.feed(stream)
    assert [frame for chunk in _cut(stream, cuts) for frame in chunked.feed(chunk)] == expected
    assert (whole.error is None) == (chunked.error is None)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_frames_or_an_error(chunks: list[bytes]) -> None:
    framer = Framer(max_message=100)
    for chunk in chunks:
        assert all(len(frame) <= 100 for frame in framer.feed(chunk))
