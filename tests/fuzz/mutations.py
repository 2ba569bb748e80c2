"""Inputs that grow out of a corpus: damage, dictionary words, splices, and repetitions up to 64 KiB.

The same seed gives the same inputs. Slow inputs stay in the pool and are changed further, so a run climbs towards the
slowest that there is.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

MAX_INPUT: Final = 65_536
POOL: Final = 200
CORPUS: Final = Path(__file__).parent / "corpus"

WORDS: Final = (
    *(b"\r\n", b"\r\n ", b"\n", b"\r", b"\0", b"\\", b'"', b"<", b">", b",", b";", b":", b"=", b"?", b"@", b"%"),
    *(
        b"%00",
        b" ",
        b"\t",
        b"[",
        b"]",
        b"(",
        b")",
        b"\xff",
        b"\xc3\xa4",
        b"\xed\xb3\xbf",
        b"\r\n\r\n",
        b"\\\0",
        b'\\"',
        b'""',
    ),
    *(b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", b"v: SIP / 2.0 / TCP h : 5\r\n", b"From: <sip:a@h>;tag=1\r\n"),
    *(b"t: sip:b@h\r\n", b"Call-ID: c\r\n", b"CSeq: 1 INVITE\r\n", b"m: *\r\n", b"Contact: <sip:a@[::1]>\r\n"),
    *(b"Route: <sip:r;lr>\r\n", b"Content-Length: 0\r\n", b"l:5\r\n", b"Max-Forwards: 0\r\n", b"Require: x\r\n"),
    *(b"INVITE sip:h SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"99999999999999999999", b"-1", b"sip:", b"sips:", b"tel:+1"),
    *(b"v=0\r\n", b"o=- 1 1 IN IP4 h\r\n", b"m=audio 9 RTP/AVP 0 96\r\n", b"a=rtpmap:96 x/1\r\n", b"a=fmtp:96 a=b\r\n"),
    *(b"a=rtcp-fb:96 nack\r\n", b"a=candidate:1 1 udp 1 h 1 typ host\r\n", b"c=IN IP4 h\r\n", b"a=ssrc:1 a:b\r\n"),
    *(b"Digest ", b"realm=", b"nonce=", b'qop="auth,auth-int"', b"algorithm=MD5", b"stale=true", b"username*="),
)

_TIMES: Final = (2, 2, 2, 3, 8, 8, 16, 64, 256, 0)
"""How often something is repeated; 0 fills the input."""


def corpus(target: str) -> list[bytes]:
    """Return the inputs that are kept for a target."""
    return [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]


class Mutations:
    """An endless source of inputs for one target, the same for the same seed."""

    def __init__(self, seeds: list[bytes], seed: int) -> None:
        self._random = random.Random(seed)
        self._seeds = seeds
        self._slow: list[tuple[float, bytes]] = []

    def next(self) -> bytes:
        """Return an input."""
        rng = self._random
        pool = self._seeds if not self._slow or rng.random() < 0.9 else [data for _, data in self._slow]
        data = bytearray(rng.choice(pool))
        for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
            self._change(data)
        return bytes(data[:MAX_INPUT])

    def note(self, data: bytes, seconds: float) -> None:
        """Learn how long an input took."""
        if len(self._slow) < POOL or seconds > self._slow[-1][0]:
            self._slow.append((seconds, data))
            self._slow.sort(key=lambda entry: -entry[0])
            del self._slow[POOL:]

    def _change(self, data: bytearray) -> None:
        rng = self._random
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + int(rng.expovariate(0.05)))
        match rng.randrange(7):
            case 0:
                data[start:start] = rng.choice(WORDS)
            case 1:
                del data[start:end]
            case 2 if data:
                data[min(start, len(data) - 1)] = rng.randrange(256)
            case 3:
                # A bomb: some of it over and over.
                piece = bytes(data[start:end]) or rng.choice(WORDS)
                data[start:start] = piece * (rng.choice(_TIMES) or MAX_INPUT // len(piece))
            case 4:
                word = rng.choice(WORDS)
                data[start:start] = word * (rng.choice(_TIMES) or MAX_INPUT // len(word))
            case 5:
                other = rng.choice(self._seeds)
                data[start:] = other[rng.randrange(len(other) + 1) :]
            case _:
                data[start:end] = rng.choice(WORDS)
        del data[MAX_INPUT:]
