"""Bounds, abilities and refusals beyond what RFC 4475 asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialog_sip import DEFAULT_LIMITS, Capabilities, Drop, Layer, Limits, Refusal, Request, admit

AGENT = Capabilities(extensions=("100rel",), demands=("timer",))


def _request(start: str = "INVITE sip:b@h SIP/2.0", body: bytes = b"", **lines: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From": "<sip:a@h>;tag=1",
        "To": "<sip:b@h>",
        "Call-ID": "c",
        "CSeq": f"1 {start.partition(' ')[0]}",
        "Supported": "timer",
        "Content-Length": str(len(body)),
    }
    headers |= {name.replace("_", "-"): value for name, value in lines.items()}
    kept = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join([start, *kept]) + "\r\n\r\n").encode() + body


def _refused(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Refusal:
    found = admit(data, AGENT, limits)
    assert isinstance(found, Refusal), found
    return found


@pytest.mark.parametrize(
    ("limits", "status", "layer"),
    [
        (Limits(message=250), 513, Layer.FRAMING),
        (Limits(headers=6), 513, Layer.FRAMING),
        (Limits(header=30), 513, Layer.FRAMING),
        (Limits(body=10), 413, Layer.FRAMING),
        (Limits(uri=6), 414, Layer.START_LINE),
    ],
)
def test_bounds_are_answered_for(limits: Limits, status: int, layer: Layer) -> None:
    refusal = _refused(_request(body=b"x" * 100), limits)
    assert (refusal.response.code, refusal.error.layer) == (status, layer)


def test_within_the_bounds_it_is_taken() -> None:
    data = _request()
    exact = Limits(message=len(data), headers=7, header=len(data), uri=7, body=0)
    assert isinstance(admit(data, AGENT, exact), Request)
    assert _refused(data, replace(exact, message=len(data) - 1)).response.code == 513


@pytest.mark.parametrize(
    ("lines", "status", "header"),
    [
        ({"Supported": "path"}, 421, ("Require", "timer")),
        ({"Require": "100rel, x"}, 420, ("Unsupported", "x")),
        ({"Content_Encoding": "gzip"}, 415, ("Accept-Encoding", "identity")),
        ({"Content_Type": "text/plain"}, 415, ("Accept", "application/sdp")),
    ],
)
def test_what_is_not_done_here(lines: dict[str, str], status: int, header: tuple[str, str]) -> None:
    refusal = _refused(_request(**{"body": b"x", "Content_Type": "application/sdp", **lines}))
    assert (refusal.response.code, refusal.error.layer) == (status, Layer.CAPABILITY)
    assert refusal.response.headers.get(header[0]) == header[1]


@pytest.mark.parametrize(
    "lines",
    [
        {"Require": "100REL"},
        {"Supported": None, "Require": "Timer, 100rel", "From": "<sip:a@h>;tag=1"},
        {"Content_Type": "x/y", "Content_Disposition": "render ; Handling = optional"},
        {"Accept": "text/plain, application/*"},
        {"From": "Jürgen (Büro) a@b <sip:a@h>;tag=1"},
        {"Date": "Tue, 03 Feb 2026 04:05:06 GMT"},
    ],
)
def test_what_is_done(lines: dict[str, str]) -> None:
    able = replace(AGENT, extensions=("100rel", "timer"))
    assert isinstance(admit(_request(**{"body": b"x", **lines}), able), Request)


def test_judgements_that_are_left_to_others() -> None:
    nobody = Capabilities(methods=None, extensions=None, bodies=("*/*",))
    assert isinstance(admit(_request("BREW sip:b@h SIP/2.0", b"x", Require="pot", Content_Type="a/b"), nobody), Request)


def test_a_repetition_gets_the_same_answer() -> None:
    data = _request(Require="x")
    first, second = _refused(data).response, _refused(data).response
    assert first.encode() == second.encode()
    assert first.to.tag
    assert _refused(data.replace(b"z9hG4bK1", b"z9hG4bK2")).response.to.tag != first.to.tag


def test_a_tag_that_is_there_stays() -> None:
    assert _refused(_request(Require="x", To="<sip:b@h>;tag=mine")).response.to.tag == "mine"


_LONG = "x" * 16_250


@pytest.mark.parametrize(
    "data",
    [
        _request("ACK sip:b@h SIP/2.0", CSeq="1 INVITE"),
        _request(Via=None, Require="x"),
        _request(
            Via=f"SIP/2.0/UDP h;{_LONG}", From=f"<sip:a@h>;{_LONG}", To=f"<sip:b@h>;{_LONG}", Call_ID=_LONG, Require="x"
        ),
    ],
    ids=["ACK", "no Via", "too large to send back"],
)
def test_what_is_dropped(data: bytes) -> None:
    assert len(data) < 65_535
    assert isinstance(admit(data, AGENT), Drop)
