"""Answers in every dress that RFC 3261 allows, and some that it does not: read, or dropped and counted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest
from dialog_sip import RemoteProtocolError, Request, Response, parse_message
from dialog_sip.aio import Endpoint, Failure, Flow
from dialog_sip.aio.express import ExpressLane
from dialog_sip.registration import Account, Registration, RegistrationSettings, RegistrationState

CONTACT = "sip:alice@192.0.2.1:5070"
DEADLINE = 10.0
_PLAIN = (
    "SIP/2.0 200 OK\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport=5070;received=192.0.2.1\r\n"
    "From: <sip:alice@pbx.example>;tag=a\r\n"
    "To: <sip:alice@pbx.example>;tag=b\r\n"
    "Call-ID: c1\r\n"
    "CSeq: 1 REGISTER\r\n"
    f"Contact: <{CONTACT}>;expires=90\r\n"
    "Content-Length: 0\r\n\r\n"
)


def _compact(text: str) -> str:
    for name, short in {
        "Via": "v",
        "From": "f",
        "To": "t",
        "Call-ID": "i",
        "Contact": "m",
        "Content-Length": "l",
    }.items():
        text = re.sub(rf"(?m)^{name}:", f"{short} :", text)
    return text


DRESSES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "compact": _compact,
    "folded": lambda text: text.replace("Contact: ", "Contact:\r\n\t ").replace(";expires", "\r\n ;expires"),
    "names in capitals": lambda text: re.sub(r"(?m)^[A-Za-z-]+:", lambda found: found[0].upper(), text),
    "blanks round everything": lambda text: text.replace(": ", " :   ").replace(";expires=", " ; Expires = "),
    "a display name with everything in it": lambda text: text.replace(
        "Contact: <", 'Contact: "Alice, \\"<sip:x@y>;expires=1\\"" <'
    ),
    "other devices first": lambda text: text.replace(
        "Contact: ", "Contact: <sip:alice@198.51.100.7>;expires=5, <sip:alice@198.51.100.8:5071;ob>;expires=6,"
    ),
    "rewritten behind a NAT": lambda text: text.replace("alice@192.0.2.1:5070>", "alice@203.0.113.9:61234;alias=1~2>"),
    "host in capitals, another order": lambda text: text.replace(">;expires=90", '>;q=0.5;+x="y";expires=90'),
    "Expires in a header": lambda text: text.replace(";expires=90", "").replace("CSeq", "Expires: 90\r\nCSeq"),
    "no Contact but Expires": lambda text: re.sub(r"Contact:.*\r\n", "Expires: 90\r\n", text),
    "40 KB": lambda text: text.replace("CSeq", "".join(f"X-{n}: {'x' * 990}\r\n" for n in range(40)) + "CSeq"),
    "no reason phrase": lambda text: text.replace("200 OK", "200 "),
    "202": lambda text: text.replace("200 OK", "202 Angenommen"),
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
def test_any_legal_dress_is_understood(dress: Callable[[str], str]) -> None:
    registration = asking()
    answer = parse_message(dress(_PLAIN).encode())
    assert isinstance(answer, Response)
    registration.receive(answer, 0.1, 0.5)
    assert registration.state is RegistrationState.REGISTERED
    assert registration.binding is not None
    assert registration.binding.granted == 90


@pytest.mark.parametrize(
    "made",
    [
        lambda text: text.replace("SIP/2.0 200", "SIP/2.0 2000"),
        lambda text: text.replace("Content-Length: 0", "Content-Length: none"),
        lambda text: text.replace("Content-Length: 0", "Content-Length: 9"),
        lambda text: text.replace("From: <sip:alice", "From <sip:alice"),
    ],
)
def test_what_is_not_legal_is_no_answer(made: Callable[[str], str]) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_message(made(_PLAIN).encode())


def asking() -> Registration:
    registration = Registration(
        Account("sip:alice@pbx.example", "sip:pbx.example"), RegistrationSettings(), call_id="c1", contact=CONTACT
    )
    registration.start(0.0)
    registration.request(0.0)
    return registration


# Over sockets.


class OddPbx:
    """Answers over TCP with what it is told, byte for byte."""

    def __init__(self) -> None:
        self.answers: list[Callable[[bytes], bytes]] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        for answer in self.answers:
            writer.write(answer(request))
        await writer.drain()
        await reader.read()
        writer.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint(lambda _request: None, keepalive=None)
    yield made
    await made.close()


@pytest.fixture
async def pbx() -> AsyncIterator[OddPbx]:
    made = OddPbx()
    await made.start()
    yield made
    await made.stop()


ILLEGAL: dict[str, Callable[[bytes], bytes]] = {
    "From without a colon": lambda answer: answer.replace(b"From: ", b"From "),
    "From of another": lambda answer: re.sub(rb"(From: [^\r]*tag=)", rb"\1x", answer),
    "From without its tag": lambda answer: re.sub(rb"(From: [^\r]*);tag=\w+", rb"\1", answer),
    "no From": lambda answer: re.sub(rb"From: .*\r\n", b"", answer),
    "Call-ID of another": lambda answer: answer.replace(b"Call-ID: ", b"Call-ID: x"),
    "no Call-ID": lambda answer: re.sub(rb"Call-ID: .*\r\n", b"", answer),
    "CSeq of another": lambda answer: answer.replace(b"CSeq: ", b"CSeq: 1"),
    "CSeq of another method": lambda answer: answer.replace(b" REGISTER\r\n", b" OPTIONS\r\n"),
    "CSeq that is no number": lambda answer: answer.replace(b"CSeq: ", b"CSeq: x"),
    "no CSeq": lambda answer: re.sub(rb"CSeq: .*\r\n", b"", answer),
}


@pytest.mark.parametrize("illegal", ILLEGAL.values(), ids=ILLEGAL)
async def test_an_illegal_answer_is_dropped_and_counted_and_40_kb_are_read(
    endpoint: Endpoint, pbx: OddPbx, illegal: Callable[[bytes], bytes]
) -> None:
    pbx.answers = [lambda request: illegal(_answer(request)), _large]
    flow = await endpoint.connect("tcp", "127.0.0.1", pbx.port)
    response = await _register(endpoint, flow)
    assert isinstance(response, Response)
    assert response.code == 200
    assert len(response.encode()) > 40_000
    assert endpoint.malformed == 1


async def _register(endpoint: Endpoint, flow: Flow) -> Response | Failure:
    sender = Sender()
    registration = Registration(
        Account("sip:alice@pbx.example", "sip:pbx.example"), RegistrationSettings(), call_id="c1", contact=CONTACT
    )
    registration.start(0.0)
    ExpressLane(endpoint).send(registration.register(0.0), flow, sender)
    return await asyncio.wait_for(sender.done, DEADLINE)


class Sender:
    """Waits for the end of one REGISTER."""

    def __init__(self) -> None:
        self.done: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()
        self.received = self.failed = self.done.set_result

    def may_repeat(self) -> bool:
        return True


def _answer(request: bytes) -> bytes:
    message = parse_message(request)
    assert isinstance(message, Request)
    return message.respond(200, headers=[("Contact", f"<{CONTACT}>;expires=90")]).encode()


def _large(request: bytes) -> bytes:
    head, end, rest = _answer(request).partition(b"\r\n")
    return head + end + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 990) for n in range(41)) + rest
