"""TLS and websockets on loopback: what travels, whose certificate is taken, and what errors say."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from dialog_sip import Request
from dialog_sip.aio import (
    Endpoint,
    Flow,
    FlowError,
    Handshake,
    HandshakeError,
    Listener,
    ServerRequest,
    TlsError,
    TlsOptions,
    TlsProblem,
)
from dialog_sip.aio.ws import WsServerFlow
from fixtures.certificates import Authority, Issued

DEADLINE = 5.0
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
HOSTS = ["127.0.0.1", "::1"]


def options(call_id: str = "c1", body: bytes = b"") -> Request:
    headers = [("From", "<sip:a@b>;tag=1"), ("To", "<sip:b>"), ("Call-ID", call_id), ("CSeq", "1 OPTIONS")]
    return Request("OPTIONS", "sip:b", headers, body)


class Ends:
    """A server that answers 200, with its own request's body, and a client."""

    def __init__(self) -> None:
        self.flows: list[Flow] = []
        self.server = Endpoint(self._answer, keepalive=None, on_flow=self.flows.append)
        self.client = Endpoint(lambda request: request.respond(200), keepalive=None)

    def _answer(self, request: ServerRequest) -> None:
        request.respond(200, body=request.request.body)

    async def ask(self, flow: Flow, body: bytes = b"") -> bytes:
        response = await asyncio.wait_for(self.client.request(options(body=body), flow).final(), DEADLINE)
        assert response.code == 200
        return response.body

    async def ask_back(self) -> int:
        response = await asyncio.wait_for(self.server.request(options(), self.flows[-1]).final(), DEADLINE)
        return response.code

    async def close(self) -> None:
        await self.client.close()
        await self.server.close()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    yield made
    await made.close()


def own(issued: Issued) -> TlsOptions:
    return TlsOptions(cert_file=issued.cert, key_file=issued.key)


async def refusal(ends: Ends, listener: Listener, tls: TlsOptions, domain: str, transport: str = "tls") -> FlowError:
    with pytest.raises(FlowError) as caught:
        await ends.client.connect(transport, *listener.address, tls=tls, domain=domain)
    return caught.value


@pytest.mark.parametrize("transport", ["tls", "ws", "wss"])
@pytest.mark.parametrize("host", HOSTS)
async def test_requests_go_both_ways(ends: Ends, authority: Authority, transport: str, host: str) -> None:
    listener = await ends.server.listen(transport, host, tls=own(authority.for_loopback()))
    flow = await ends.client.connect(transport, *listener.address, tls=TlsOptions(authority.ca_file))
    assert await ends.ask(flow, b"\xff\x00 no UTF-8") == b"\xff\x00 no UTF-8"
    assert await ends.ask(flow, b"x" * 60_000) == b"x" * 60_000
    assert await ends.ask_back() == 200
    assert flow.reliable
    assert (flow.transport, ends.flows[0].transport) == (transport, transport)


async def test_equal_targets_share_a_flow_and_others_do_not(ends: Ends, authority: Authority) -> None:
    tls = TlsOptions(authority.ca_file)
    issued = authority.issue("x", uris=["sip:a.example", "sip:b.example"])
    address = (await ends.server.listen("tls", "127.0.0.1", tls=own(issued))).address
    first = await ends.client.connect("tls", *address, tls=tls, domain="a.example")
    assert await ends.client.connect("tls", *address, tls=tls, domain="A.example") is first
    assert await ends.client.connect("tls", *address, tls=tls, domain="b.example") is not first
    assert await ends.client.connect("tls", *address, tls=TlsOptions(verify=False), domain="a.example") is not first
    first.close()
    assert await ends.client.connect("tls", *address, tls=tls, domain="a.example") is not first


@pytest.mark.parametrize(
    ("names", "domain", "fits"),
    [
        ({"uris": ["sip:example.com"]}, "example.com", True),
        ({"uris": ["sip:Example.COM"]}, "example.com.", True),
        ({"uris": ["sip:example.com"], "dns": ["pbx.example.com"]}, "pbx.example.com", False),
        ({"uris": ["sip:alice@example.com"]}, "example.com", False),
        ({"uris": ["https://example.com"], "dns": ["example.com"]}, "example.com", True),
        ({"dns": ["example.com"]}, "example.com", True),
        ({"dns": ["*.example.com"]}, "pbx.example.com", False),
        ({"dns": ["example.com"]}, "pbx.example.com", False),
        ({"addresses": ["127.0.0.1"]}, "127.0.0.1", True),
        ({"dns": ["example.com"]}, "127.0.0.1", False),
    ],
)
async def test_names_by_rfc_5922(
    ends: Ends, authority: Authority, names: dict[str, list[str]], domain: str, fits: bool
) -> None:
    issued = authority.issue("whatever", **names)  # type: ignore[arg-type]
    listener = await ends.server.listen("tls", "127.0.0.1", tls=own(issued))
    tls = TlsOptions(authority.ca_file)
    if fits:
        assert await ends.ask(await ends.client.connect("tls", *listener.address, tls=tls, domain=domain)) == b""
        return
    error = await refusal(ends, listener, tls, domain)
    assert isinstance(error, TlsError)
    assert error.problem is TlsProblem.WRONG_NAME
    assert domain in str(error)


async def test_the_common_name_counts_where_there_is_nothing_else(ends: Ends, authority: Authority) -> None:
    listener = await ends.server.listen("tls", "127.0.0.1", tls=own(authority.issue("old.example.com")))
    flow = await ends.client.connect(
        "tls", *listener.address, tls=TlsOptions(authority.ca_file), domain="old.example.com"
    )
    assert await ends.ask(flow) == b""


async def test_a_websocket_is_matched_as_the_web_is(ends: Ends, authority: Authority) -> None:
    issued = authority.issue("x", dns=["*.web.example"])
    listener = await ends.server.listen("wss", "127.0.0.1", tls=own(issued))
    tls = TlsOptions(authority.ca_file)
    handshake = Handshake(host="edge.web.example:443")
    flow = await ends.client.connect("wss", *listener.address, tls=tls, handshake=handshake)
    assert await ends.ask(flow) == b""
    error = await refusal(ends, listener, tls, "a.b.web.example", "wss")
    assert isinstance(error, TlsError)
    assert error.problem is TlsProblem.WRONG_NAME


async def test_who_is_not_trusted_gets_nothing(ends: Ends, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Another root")
    listener = await ends.server.listen("tls", "127.0.0.1", tls=own(authority.for_loopback()))
    for tls in (TlsOptions(other.ca_file), TlsOptions()):
        error = await refusal(ends, listener, tls, "127.0.0.1")
        assert isinstance(error, TlsError)
        assert error.problem is TlsProblem.UNTRUSTED
        assert "ca-file" in str(error)
    assert ends.flows == []
    flow = await ends.client.connect("tls", *listener.address, tls=TlsOptions(verify=False))
    assert await ends.ask(flow) == b""


@pytest.mark.parametrize(
    ("starts", "ends_in", "problem"),
    [
        (timedelta(days=-9), timedelta(days=-3), TlsProblem.EXPIRED),
        (timedelta(days=3), timedelta(days=9), TlsProblem.NOT_YET_VALID),
    ],
)
async def test_a_certificate_out_of_its_time(
    ends: Ends, authority: Authority, starts: timedelta, ends_in: timedelta, problem: TlsProblem
) -> None:
    issued = authority.issue("x", dns=["example.com"], starts=starts, ends=ends_in)
    listener = await ends.server.listen("tls", "127.0.0.1", tls=own(issued))
    error = await refusal(ends, listener, TlsOptions(authority.ca_file), "example.com")
    assert isinstance(error, TlsError)
    assert error.problem is problem


async def test_client_certificates(ends: Ends, authority: Authority) -> None:
    mine, theirs = authority.for_loopback(), authority.issue("client")
    strict = TlsOptions(authority.ca_file, mine.cert, mine.key)
    listener = await ends.server.listen("tls", "127.0.0.1", tls=strict)
    known = TlsOptions(authority.ca_file, theirs.cert, theirs.key)
    assert await ends.ask(await ends.client.connect("tls", *listener.address, tls=known)) == b""
    flow = await ends.client.connect("tls", *listener.address, tls=TlsOptions(authority.ca_file))
    await _closed(flow)
    assert "closed" in flow.reason
    assert len(ends.flows) == 1


async def test_a_peer_that_wants_a_certificate_says_so(ends: Ends, authority: Authority) -> None:
    context = _context(authority)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    async with _plain_server(context) as address:
        # With TLS 1.3 the client is done before the server has looked.
        flow = await ends.client.connect("tls", *address, tls=TlsOptions(authority.ca_file))
        await _closed(flow)
        assert "cert-file" in flow.reason


async def test_a_peer_that_does_not_take_our_certificate(ends: Ends, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Another root").issue("client")
    context = _context(authority)
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with _plain_server(context) as address:
        with pytest.raises(TlsError) as caught:
            await ends.client.connect("tls", *address, tls=TlsOptions(authority.ca_file, other.cert, other.key))
    assert caught.value.problem is TlsProblem.REFUSED


async def test_a_peer_with_nothing_but_old_tls(ends: Ends, authority: Authority) -> None:
    context = _context(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with _plain_server(context) as address:
        with pytest.raises(TlsError) as caught:
            await ends.client.connect("tls", *address, tls=TlsOptions(authority.ca_file))
    assert caught.value.problem is TlsProblem.TOO_OLD


async def test_a_peer_without_tls(ends: Ends) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with pytest.raises(TlsError) as caught:
        await ends.client.connect("tls", *server.sockets[0].getsockname(), tls=TlsOptions())
    assert caught.value.problem is TlsProblem.NO_TLS
    server.close()


async def test_a_peer_that_closes_without_a_word(ends: Ends) -> None:
    listener = await ends.server.listen("ws", "127.0.0.1")
    error = await refusal(ends, listener, TlsOptions(), "127.0.0.1")
    assert isinstance(error, TlsError)
    assert error.problem is TlsProblem.CLOSED


def _context(authority: Authority) -> ssl.SSLContext:
    issued = authority.for_loopback()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert, issued.key)
    return context


@asynccontextmanager
async def _plain_server(context: ssl.SSLContext) -> AsyncIterator[tuple[str, int]]:
    """Serve one connection with OpenSSL itself: asyncio sends no alert when a handshake fails."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = sock.accept()
            connection.settimeout(DEADLINE)
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(DEADLINE)
        served = asyncio.create_task(asyncio.to_thread(serve))
        yield sock.getsockname()
        await served


async def _closed(flow: Flow) -> None:
    closed = asyncio.Event()
    flow.on_closed.append(lambda _: closed.set())
    if not flow.closed:
        await asyncio.wait_for(closed.wait(), DEADLINE)


@pytest.mark.parametrize(
    "tls",
    [
        TlsOptions(ca_file=Path("/nowhere/ca.pem")),
        TlsOptions(ca_file=Path(__file__)),
        TlsOptions(cert_file=Path("/nowhere/cert.pem")),
    ],
)
async def test_files_that_cannot_be_used_are_named(ends: Ends, tls: TlsOptions) -> None:
    with pytest.raises(TlsError) as caught:
        await ends.client.connect("tls", "127.0.0.1", 1, tls=tls)
    assert caught.value.problem is TlsProblem.FILES
    assert str(tls.ca_file or tls.cert_file) in str(caught.value)


async def test_a_listener_needs_a_certificate(ends: Ends) -> None:
    with pytest.raises(TlsError, match="cert-file"):
        await ends.server.listen("tls", "127.0.0.1")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "SIP"])
async def test_verb_host_and_path_of_the_handshake(ends: Ends, method: str) -> None:
    wanted = Handshake(method, "pbx.example.com:8088", "/index?a=1")
    listener = await ends.server.listen("ws", "127.0.0.1")
    flow = await ends.client.connect("ws", *listener.address, handshake=wanted)
    assert await ends.ask(flow) == b""
    taken = ends.flows[0]
    assert isinstance(taken, WsServerFlow)
    assert taken.handshake == wanted
    uri = flow.contact_uri("7")
    assert (uri.host.endswith(".invalid"), uri.transport, uri.port) == (True, "ws", None)
    assert str(flow.contact_uri("7", host="kept.invalid", outbound=True)) == "sip:7@kept.invalid;transport=ws;ob"


async def test_the_host_is_that_of_the_connection_where_none_is_given(ends: Ends) -> None:
    listener = await ends.server.listen("ws", "::1")
    await ends.client.connect("ws", *listener.address)
    taken = ends.flows[0]
    assert isinstance(taken, WsServerFlow)
    assert taken.handshake == Handshake("GET", f"[::1]:{listener.address[1]}", "/")


@pytest.mark.parametrize(
    "handshake",
    [
        Handshake(method="GET / HTTP/1.1\r\nX:"),
        Handshake(method=""),
        Handshake(location="index"),
        Handshake(location="/a b"),
        Handshake(location="/\r\nEvil: 1"),
        Handshake(host="a\r\nEvil: 1"),
        Handshake(host="a b"),
    ],
)
async def test_a_handshake_that_would_not_be_http(ends: Ends, handshake: Handshake) -> None:
    listener = await ends.server.listen("ws", "127.0.0.1")
    with pytest.raises(HandshakeError):
        await ends.client.connect("ws", *listener.address, handshake=handshake)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404 Not Found"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "HTTP 301"),
        (b"SIP/2.0 400 Bad Request\r\n\r\n", "port of its websockets"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "websocket"),
        (b"", "closed the connection"),
        (
            UPGRADED + b"Sec-WebSocket-Accept: x\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
    ],
)
async def test_what_servers_say_instead_of_a_websocket(ends: Ends, answer: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        with pytest.raises(HandshakeError, match=words):
            await ends.client.connect("ws", *server.sockets[0].getsockname())
    finally:
        server.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        UPGRADE + b"\r\n",
        UPGRADE + b"Sec-WebSocket-Protocol: chat\r\n\r\n",
        b"OPTIONS sip:b SIP/2.0\r\n\r\n",
        b"\x16\x03\x01" * 100 + b"\r\n",
        b"GET /" + b"x" * 100_000,
    ],
)
async def test_a_client_that_does_not_speak_sip_over_websockets(ends: Ends, sent: bytes) -> None:
    listener = await ends.server.listen("ws", "127.0.0.1")
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(sent)
        assert b"101" not in (await reader.read())[:20]
        writer.close()
    assert ends.flows == []


async def test_a_client_that_says_nothing_is_let_go(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialog_sip.aio.ws.OPEN_WITHIN", 0.05)
    listener = await ends.server.listen("ws", "127.0.0.1")
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*listener.address)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
