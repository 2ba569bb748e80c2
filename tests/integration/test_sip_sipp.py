"""SIPp from Debian as the other end: its built-in caller and callee, over UDP, TCP and TLS, and with losses.

Debian builds SIPp without OpenSSL: a relay on loopback speaks TLS for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dialog_sip import NameAddr, Request, Response
from dialog_sip.aio import Endpoint, Flow, ServerRequest, TlsOptions
from fixtures.certificates import Authority
from fixtures.tls_relay import tls_relay

pytestmark = pytest.mark.needs("sipp")

DEADLINE = 40.0
MODES = {"udp": "u1", "tcp": "t1"}


def free_port(transport: str) -> int:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run_sipp(folder: Path, transport: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "sipp", "-i", "127.0.0.1", "-t", MODES[transport], "-nostdin", *arguments,
        cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> int:
    try:
        async with asyncio.timeout(DEADLINE):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass
class Counts:
    acks: int = 0
    lost_acks: int = 0
    byes: int = 0


class Callee:
    """Answers calls, as a phone would."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.endpoint = Endpoint(self._take)

    def _take(self, request: ServerRequest) -> None:
        if request.request.method != "INVITE":
            self.counts.byes += 1
            request.respond(200)
            return
        request.on_ack = self._acked
        request.on_ack_timeout = self._not_acked
        request.respond(180)
        request.respond(200, headers=[("Contact", NameAddr.make(request.flow.contact_uri("callee")))])

    def _acked(self, ack: Request) -> None:
        assert ack.method == "ACK"
        self.counts.acks += 1

    def _not_acked(self) -> None:
        self.counts.lost_acks += 1


@pytest.fixture
async def callee() -> AsyncIterator[Callee]:
    made = Callee()
    yield made
    await made.endpoint.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_calls_us(callee: Callee, transport: str, tmp_path: Path) -> None:
    listener = await callee.endpoint.listen(transport, "127.0.0.1")
    process = await run_sipp(
        tmp_path, transport, f"127.0.0.1:{listener.address[1]}", "-sn", "uac", "-m", "50", "-r", "50", "-d", "10"
    )
    assert await ended(process) == 0
    assert callee.counts == Counts(acks=50, byes=50)


async def test_sipp_calls_us_over_tls(callee: Callee, authority: Authority, tmp_path: Path) -> None:
    ours = authority.for_loopback()
    listener = await callee.endpoint.listen("tls", "127.0.0.1", tls=TlsOptions(cert_file=ours.cert, key_file=ours.key))
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    async with tls_relay(listener.address[1], outside=trusting) as port:
        process = await run_sipp(tmp_path, "tcp", f"127.0.0.1:{port}", "-sn", "uac", "-m", "50", "-r", "50", "-d", "10")
        assert await ended(process) == 0
    assert callee.counts == Counts(acks=50, byes=50)


async def test_sipp_calls_us_and_datagrams_get_lost(callee: Callee, tmp_path: Path) -> None:
    listener = await callee.endpoint.listen("udp", "127.0.0.1")
    process = await run_sipp(
        tmp_path, "udp", f"127.0.0.1:{listener.address[1]}", "-sn", "uac",
        "-m", "30", "-r", "50", "-d", "10", "-lost", "20", "-max_retrans", "20",
    )  # fmt: skip
    assert await ended(process) == 0
    # However often something was sent, it was heard once. Fewer may arrive: SIPp sends no ACK again after its BYE, and
    # takes a 2xx that comes again for the answer to that.
    assert 15 <= callee.counts.acks <= 30
    assert 15 <= callee.counts.byes <= 30


def request(method: str, number: int, cseq: int, response: Response | None = None) -> Request:
    """Return a request of one call; after the answer it has the peer's tag and target."""
    to = "<sip:service@127.0.0.1>" if response is None else response.headers.get("To") or ""
    target = "sip:service@127.0.0.1" if response is None else response.contacts[0].uri_text
    headers = [
        ("Max-Forwards", "70"),
        ("From", f"<sip:caller@127.0.0.1>;tag={number}"),
        ("To", to),
        ("Call-ID", f"{number}@caller"),
        ("CSeq", f"{cseq} {method}"),
        ("Contact", "<sip:caller@127.0.0.1>"),
    ]
    return Request(method, target, headers)


async def call(endpoint: Endpoint, flow: Flow, number: int, *, hang_up: bool) -> list[int]:
    """Make a call; returns the codes of the INVITE's responses and of the BYE's."""
    responses = [one async for one in endpoint.request(request("INVITE", number, 1), flow).responses()]
    endpoint.acknowledge(request("ACK", number, 1, responses[-1]), flow)
    if not hang_up:
        return [response.code for response in responses]
    bye = await endpoint.request(request("BYE", number, 2, responses[-1]), flow).final()
    return [*(response.code for response in responses), bye.code]


async def until_bound(transport: str, port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until SIPp has its socket. Nothing tells of that but that the port cannot be bound any more."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    async with asyncio.timeout(DEADLINE):
        while process.returncode is None:
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return
            await asyncio.sleep(0.05)
    raise AssertionError("SIPp ended before it listened")


def lose_every_third(flow: Flow) -> None:
    """Lose what we send, not what SIPp sends: it gives a call up when an INVITE comes again after its 200."""
    send, numbers = flow.send, itertools.count()

    def lossy(data: bytes) -> None:
        if next(numbers) % 3:
            send(data)

    flow.send = lossy  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def sipp_callee(transport: str, folder: Path) -> AsyncIterator[int]:
    """Run SIPp's callee and give its port."""
    port = free_port(transport)
    process = await run_sipp(folder, transport, "-sn", "uas", "-p", str(port), "-m", "1000")
    try:
        await until_bound(transport, port, process)
        yield port
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await ended(process)


@pytest.fixture
async def caller() -> AsyncIterator[Endpoint]:
    made = Endpoint(lambda unexpected: unexpected.respond(405))
    yield made
    await made.close()


@pytest.mark.parametrize(("transport", "lossy"), [("udp", False), ("tcp", False), ("udp", True)])
async def test_we_call_sipp(caller: Endpoint, transport: str, lossy: bool, tmp_path: Path) -> None:
    async with sipp_callee(transport, tmp_path) as port:
        flow = await caller.connect(transport, "127.0.0.1", port)
        if lossy:
            lose_every_third(flow)
        async with asyncio.timeout(DEADLINE):
            # SIPp does not answer a BYE that overtakes a lost ACK, so with losses the calls stay up.
            calls = (call(caller, flow, number, hang_up=not lossy) for number in range(1, 31))
            results = await asyncio.gather(*calls)
    assert {tuple(codes) for codes in results} == {(180, 200) if lossy else (180, 200, 200)}


async def test_we_call_sipp_over_tls(caller: Endpoint, authority: Authority, tmp_path: Path) -> None:
    theirs = authority.for_loopback()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(theirs.cert, theirs.key)
    async with sipp_callee("tcp", tmp_path) as port, tls_relay(port, inside=context) as relayed:
        flow = await caller.connect("tls", "127.0.0.1", relayed, tls=TlsOptions(ca_file=authority.ca_file))
        async with asyncio.timeout(DEADLINE):
            results = await asyncio.gather(*(call(caller, flow, number, hang_up=True) for number in range(1, 31)))
    assert {tuple(codes) for codes in results} == {(180, 200, 200)}
