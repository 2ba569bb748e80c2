"""A bounded run of every fuzz target: the corpus, then mutations of it for a few seconds, all within the time for one.

The seed is printed with a failure; ``FUZZ_SEED`` sets it and ``FUZZ_SECONDS`` the time. For longer runs see
``campaign.py``.
"""

from __future__ import annotations

import os
import random

import pytest
from fuzz.campaign import WORST, campaign, timed
from fuzz.mutations import CORPUS, MAX_INPUT, WORDS, Mutations, corpus
from fuzz.targets import TARGETS, BrokenPromiseError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "3"))
SLACK = 3.0
"""How much slower than WORST this machine may be, with everything else that runs on it; what is quadratic is beyond."""

_HEADS = {
    "messages": [
        b"OPTIONS sip:h SIP/2.0\r\n" + name
        for name in (
            b"",
            b"Via: ",
            b"Via: SIP/2.0/UDP h",
            b"To: ",
            b'To: "',
            b"Contact: <sip:a@h>",
            b"Route: <",
            b"X: ",
        )
    ],
    "sdp": [b"v=0\r\no=- 1 1 IN IP4 h\r\n" + rest for rest in (b"", b"m=audio 9 RTP/AVP 0 ", b"a=", b"m=x 9 y z\r\n")],
    "uris": [b"", b"sip:", b"sip:a@h;", b"sip:a@h?", b"tel:", b'"', b"<sip:a@h>;", b"x <"],
    "digest": [b"", b"Digest ", b'Digest realm="', b"Digest a=b,", b"Digest realm=a,nonce=b,"],
    "streams": [b"\x01\x02\x03\x04", b"\x01\x02\x03\x04OPTIONS sip:h SIP/2.0\r\n", b"\x40\x40\x40\x40l:0\r\n"],
}


def _seed() -> int:
    return int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))


def test_every_target_has_a_corpus() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(corpus(target) for target in TARGETS)


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, second = (Mutations([b"abc", b"defg"], 7) for _ in range(2))
    assert [first.next() for _ in range(50)] == [second.next() for _ in range(50)]


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_few_seconds_of(target: str) -> None:
    seed = _seed()
    print(f"FUZZ_SEED={seed}")
    tally = campaign(target, SECONDS, seed)
    print(f"{target}: {tally.inputs} inputs, worst {tally.worst * 1000:.2f} ms")
    assert tally.worst < WORST * SLACK, tally.slowest[:200]


@pytest.mark.parametrize("target", list(TARGETS))
def test_repetitions_cost_no_more_than_their_length(target: str) -> None:
    """One thing over and over, behind everything that may open a value: where quadratic work shows."""
    for head in _HEADS[target]:
        for word in (
            *WORDS,
            b"a",
            b"a=b;",
            b"<>,",
            b'"",',
            b"\\",
            b" x",
            b"\t",
            b"%41",
            b"a:b@",
            b"&a=b",
            b"(",
            b"\r\n x",
        ):
            data = (head + word * (MAX_INPUT // len(word)))[: MAX_INPUT - 4]
            for ending in (b"", b"\r\n\r\n"):
                try:
                    assert timed(TARGETS[target], data + ending) < WORST * SLACK, (head, word)
                except BrokenPromiseError as error:
                    error.add_note(f"{head!r} and {word!r} over and over")
                    raise
