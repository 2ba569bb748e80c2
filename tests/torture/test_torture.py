"""Every case of RFC 4475 and RFC 5118: read, judged, written again, and answered by transactions and on the network."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter

import pytest
from dialog_sip import Drop, Framer, Refusal, Request, Response, parse_message
from dialog_sip.aio import Endpoint
from dialog_sip.digest.server import DigestServer, Verdict
from dialog_sip.sdp import parse_sdp
from dialog_sip.transactions import RequestReceived, Timers, TransactionLayer
from fixtures.sip_layer import FakeFlow
from torture.case import DROPPED, ELEMENTS, TAKEN, Answer, Case, judge, read
from torture.cases import CASES
from torture.table import PAGE, page

WITHIN = 5.0
"""Seconds for anything on loopback."""

_ids = [case.id for case in CASES]
_judged = [pytest.param(case, element, id=f"{case.id}-{element}") for case in CASES for element in case.verdicts]


def test_every_message_of_both_rfcs_has_a_case() -> None:
    expected = {
        **{f"3.1.1.{n}": 1 for n in range(1, 14)},
        **{f"3.1.2.{n}": 1 for n in range(1, 20)},
        **{f"3.3.{n}": 1 for n in range(1, 16)},
        "3.2.1": 1,
        "3.4.1": 1,
    }
    assert Counter(case.section for case in CASES if case.rfc == 4475) == expected
    assert len([case for case in CASES if case.rfc == 4475]) == 49
    six = Counter(case.section for case in CASES if case.rfc == 5118)
    assert six == {**{f"4.{n}": 1 for n in range(1, 11)}, "4.5": 2, "4.10": 2}
    assert len(set(_ids)) == len(_ids)


def test_the_table_in_the_docs_is_of_these_cases() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python tests/torture/table.py"


@pytest.mark.parametrize(("case", "element"), _judged)
def test_verdict(case: Case, element: str) -> None:
    expected = case.verdicts[element]
    got, found = judge(case.message, element)
    if not isinstance(expected, Answer):
        assert got == expected, found
        return
    assert isinstance(found, Refusal), found
    assert found.response.code == expected.status
    assert found.error.layer
    for name, value in expected.headers.items():
        assert value in (found.response.headers.get(name) or "")
    _check_answer(found.response, case.message)


def _check_answer(answer: Response, request: bytes) -> None:
    """A refusal is a message of its own, goes back the same way, and says nothing that the request did not."""
    data = answer.encode()
    assert parse_message(data).encode() == data
    for name in ("Via", "From", "Call-ID", "CSeq"):
        assert all(
            value.encode("utf-8", "surrogateescape") in _unfolded(request) for value in answer.headers.get_all(name)
        )


def _unfolded(data: bytes) -> bytes:
    return data.replace(b"\r\n ", b" ").replace(b"\t", b" ")


@pytest.mark.parametrize("case", [case for case in CASES if case.is_well_formed], ids=lambda case: case.id)
def test_fields_are_read_and_bytes_are_kept(case: Case) -> None:
    message = parse_message(case.message)
    for path, value in case.reads.items():
        assert read(message, path) == value, path
    if case.agent == TAKEN or case.proxy == TAKEN or case.agent == DROPPED:
        assert message.encode() == case.message[: len(case.message) - case.cut]


@pytest.mark.parametrize(("case", "element"), _judged)
def test_transactions(case: Case, element: str) -> None:
    layer = TransactionLayer(capabilities=ELEMENTS[element])
    flow = FakeFlow()
    _, found = judge(case.message, element)
    error = found.error if isinstance(found, Refusal | Drop) else None
    if error is not None and error.request is not None:
        layer.refuse(error.request, error, flow)
    elif error is None or isinstance(found, Refusal):
        layer.receive(parse_message(case.message), flow, 0.0)
    expected = case.verdicts[element]
    answers = [message for _, data in layer.take_transmits() if isinstance(message := parse_message(data), Response)]
    assert [answer.code for answer in answers if answer.is_final] == (
        [expected.status] if isinstance(expected, Answer) else []
    )
    received = [event for event in layer.take_events() if isinstance(event, RequestReceived)]
    assert bool(received) == (expected == TAKEN and isinstance(found, Request))


def test_two_requests_with_nothing_but_the_cookie_are_two() -> None:
    case = next(case for case in CASES if case.id == "cookie-without-identifier")
    layer, flow = TransactionLayer(), FakeFlow()
    layer.receive(parse_message(case.message), flow, 0.0)
    layer.receive(parse_message(case.message), flow, 0.0)
    layer.receive(parse_message(case.message.replace(b"Call-ID: ", b"Call-ID: other-")), flow, 0.0)
    assert len([event for event in layer.take_events() if isinstance(event, RequestReceived)]) == 2


def test_an_unknown_authorization_is_none_at_all() -> None:
    case = next(case for case in CASES if case.id == "unknown-authorization")
    request = parse_message(case.message)
    assert isinstance(request, Request)
    server = DigestServer("mill.test")
    assert server.verify(request, lambda _: "secret", 0.0) is Verdict.MISSING


@pytest.mark.parametrize("name", ["ipv6-in-sdp", "mixed-sdp", "mapped-addresses"])
def test_sdp_with_ipv6(name: str) -> None:
    session = parse_sdp(parse_message(next(case for case in CASES if case.id == name).message).body)
    connections = [media.connection or session.connection for media in session.media]
    expected = {
        "ipv6-in-sdp": ["2001:db8::20"],
        "mixed-sdp": ["192.0.2.1", "2001:db8::1"],
        "mapped-addresses": ["::ffff:192.0.2.9"],
    }
    assert [connection.address for connection in connections if connection is not None] == expected[name]


@pytest.mark.parametrize("name", ["negative-length", "two-lengths", "rfc2543-invite"])
def test_a_stream_without_a_length_is_closed(name: str) -> None:
    framer = Framer()
    assert framer.feed(next(case for case in CASES if case.id == name).message) == []
    assert framer.error is not None


def test_a_stream_waits_for_a_length_beyond_what_came() -> None:
    framer = Framer()
    assert framer.feed(next(case for case in CASES if case.id == "length-beyond-the-end").message) == []
    assert framer.error is None


@pytest.mark.parametrize("element", list(ELEMENTS))
async def test_on_the_network(element: str) -> None:
    """One endpoint gets every message, and answers those that it has to; what is taken, the application answers."""
    # No ACK comes from here; what is answered is not sent again while the test lasts.
    timers = Timers(t1=10 * WITHIN)
    endpoint = Endpoint(
        lambda server: server.respond(299), timers=timers, capabilities=ELEMENTS[element], keepalive=None
    )
    loop = asyncio.get_running_loop()
    try:
        listener = await endpoint.listen("udp", "127.0.0.1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            peer.bind(("127.0.0.1", 0))
            port = peer.getsockname()[1]
            for number, case in enumerate(CASES):
                if element not in case.verdicts:
                    continue
                # The marker behind it is answered in any case, and so ends the wait for an answer that must not come.
                for data in (_answerable_at(case.message, port, number), _marker(number, port)):
                    await loop.sock_sendto(peer, data, listener.address)
                codes = []
                async with asyncio.timeout(WITHIN):
                    while (answer := parse_message(await loop.sock_recv(peer, 65535))).headers.get(
                        "Call-ID"
                    ) != f"m{number}":
                        assert isinstance(answer, Response)
                        if answer.is_final:
                            codes.append(answer.code)
                assert codes == _expected_codes(case, element), case.id
    finally:
        await endpoint.close()


async def _answer(peer: socket.socket) -> Response:
    answer = parse_message(await asyncio.get_running_loop().sock_recv(peer, 65535))
    assert isinstance(answer, Response)
    return answer


def _answerable_at(data: bytes, port: int, number: int) -> bytes:
    """Return the message with a top Via to whose port answers go; where that cannot be read they come back anyway."""
    for host in (b"192.0.2.90;", b"192.0.2.72;", b"192.0.2.95;"):
        if host in data.partition(b"\r\n\r\n")[0]:
            return data.replace(host, b"%s:%d;" % (host[:-1], port), 1)
    return data.replace(b"\nVia: ", b"\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKtop%d\r\nVia: " % (port, number), 1)


def _marker(number: int, port: int) -> bytes:
    return (
        f"OPTIONS sip:x@y.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKmark{number}\r\n"
        f"From: <sip:m@x.test>;tag=1\r\n"
        f"To: <sip:x@y.test>\r\nCall-ID: m{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def _expected_codes(case: Case, element: str) -> list[int]:
    verdict = case.verdicts[element]
    if isinstance(verdict, Answer):
        return [verdict.status]
    return [299] if verdict == TAKEN and not case.message.startswith(b"SIP/") else []
