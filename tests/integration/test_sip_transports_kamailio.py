"""Our drivers against Debian's Kamailio: every transport, IPv4 and IPv6, registrations and calls."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from dialog_sip import NameAddr, Request, Response
from dialog_sip.aio import Endpoint, Flow, Handshake, HandshakeError, ServerRequest, TlsError, TlsOptions
from dialog_sip.digest import DigestClient, Outcome
from dialog_sip.registration import keepalive
from fixtures.certificates import Authority
from fixtures.kamailio import PASSWORD, Kamailio, KamailioFactory

pytestmark = pytest.mark.needs("kamailio")

DEADLINE = 10.0
TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


HOSTS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on loopback"))]


class Agent:
    """A user agent as small as can be: registers, calls, answers calls with 200."""

    def __init__(self, user: str, endpoint: Endpoint, flow: Flow, host: str) -> None:
        self.user, self.endpoint, self.flow = user, endpoint, flow
        self.host = f"[{host}]" if ":" in host else host
        self.contact = NameAddr.make(flow.contact_uri(user))
        self.digest = DigestClient(user)
        self.acked = asyncio.Event()

    async def transact(self, request: Request) -> Response:
        for attempt in range(1, 4):
            request.headers.set("CSeq", f"{attempt} {request.method}")
            self.digest.authorize(request, PASSWORD)
            response = await asyncio.wait_for(self.endpoint.request(request, self.flow).final(), DEADLINE)
            if response.code not in {401, 407} or self.digest.learn(response) is not Outcome.RETRY:
                return response
        return response

    def request(self, method: str, uri: str, to: str) -> Request:
        headers: list[tuple[str, Any]] = [
            ("Max-Forwards", "70"),
            ("From", NameAddr.make(f"sip:{self.user}@{self.host}", tag="t1")),
            ("To", NameAddr.make(to)),
            ("Call-ID", f"{method}-{self.flow.id}-{id(self)}"),
            ("Contact", self.contact),
        ]
        return Request(method, uri, headers)

    async def register(self) -> Response:
        request = self.request("REGISTER", f"sip:{self.host}", f"sip:{self.user}@{self.host}")
        request.headers.add("Expires", "600")
        return await self.transact(request)

    async def call(self, user: str) -> tuple[Request, Response]:
        uri = f"sip:{user}@{self.host}"
        invite = self.request("INVITE", uri, uri)
        return invite, await self.transact(invite)

    def within(self, method: str, invite: Request, answer: Response, cseq: int) -> Request:
        """Return a request in the SIP dialog of a call."""
        request = Request(method, str(answer.contacts[0].uri), [("Max-Forwards", "70")])
        for route in reversed(answer.record_routes):
            request.headers.add("Route", route)
        request.headers.add("From", invite.from_)
        request.headers.add("To", answer.to)
        request.headers.add("Call-ID", invite.call_id)
        request.headers.add("CSeq", f"{cseq} {method}")
        return request

    def answer(self, server: ServerRequest) -> None:
        server.on_ack = lambda _ack: self.acked.set()
        headers = [("Contact", self.contact)] if server.request.method == "INVITE" else []
        server.respond(200, headers=headers)


AgentFactory = Callable[..., Any]


@pytest.fixture
async def agent() -> AsyncIterator[AgentFactory]:
    async with AsyncExitStack() as stack:

        async def make(user: str, pbx: Kamailio, transport: str, host: str = "127.0.0.1", **more: Any) -> Agent:
            more = {"tls": TlsOptions(pbx.ca_file), "handshake": Handshake(location="/sip"), **more}
            return await stack.enter_async_context(_agent(user, pbx, transport, host, **more))

        yield make


@asynccontextmanager
async def _agent(user: str, pbx: Kamailio, transport: str, host: str, **more: Any) -> AsyncIterator[Agent]:
    made: list[Agent] = []
    endpoint = Endpoint(lambda request: made[0].answer(request), keepalive=0.5)  # noqa: PLW0108  not there yet
    try:
        made.append(Agent(user, endpoint, await endpoint.connect(transport, host, pbx.ports[transport], **more), host))
        yield made[0]
    finally:
        await endpoint.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("host", HOSTS)
async def test_registers(kamailio: KamailioFactory, agent: AgentFactory, transport: str, host: str) -> None:
    pbx = await kamailio(secure=True)
    alice = await agent("alice", pbx, transport, host)
    response = await alice.register()
    assert response.code == 200
    bound = await pbx.contacts("alice")
    assert [each["Address"] for each in bound] == [str(alice.contact.uri)]
    assert response.contacts[0].uri == alice.contact.uri


@pytest.mark.parametrize(("mine", "theirs"), [("ws", "tls"), ("wss", "udp"), ("tcp", "wss"), ("tls", "ws")])
async def test_calls_between_transports(kamailio: KamailioFactory, agent: AgentFactory, mine: str, theirs: str) -> None:
    pbx = await kamailio(secure=True)
    alice, bob = await agent("alice", pbx, mine), await agent("bob", pbx, theirs)
    assert [(await each.register()).code for each in (alice, bob)] == [200, 200]
    invite, answer = await alice.call("bob")
    assert answer.code == 200
    cseq = answer.cseq.number
    alice.endpoint.acknowledge(alice.within("ACK", invite, answer, cseq), alice.flow)
    await asyncio.wait_for(bob.acked.wait(), DEADLINE)
    bye = alice.endpoint.request(alice.within("BYE", invite, answer, cseq + 1), alice.flow)
    assert (await asyncio.wait_for(bye.final(), DEADLINE)).code == 200


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_keepalives_are_answered(kamailio: KamailioFactory, agent: AgentFactory, transport: str) -> None:
    pbx = await kamailio(secure=True)
    alice = await agent("alice", pbx, transport)
    await alice.register()
    alice.flow.ping()
    # The answer to the next request comes after the pong.
    await alice.register()
    assert alice.flow._answers_pings
    assert not alice.flow.closed
    assert alice.flow._pong_timer is None


@pytest.mark.parametrize("host", HOSTS)
async def test_stun_over_udp_is_answered(
    kamailio: KamailioFactory, agent: AgentFactory, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "_DATAGRAM", (0.01, 0.02))
    pbx = await kamailio(secure=True)
    alice = await agent("alice", pbx, "udp", host)
    told: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    seen_as = keepalive.Keepalive.seen_as

    def answered(self: keepalive.Keepalive, mapped: tuple[str, int]) -> keepalive.KeepaliveState:
        if not told.done():
            told.set_result(mapped)
        return seen_as(self, mapped)

    monkeypatch.setattr(keepalive.Keepalive, "seen_as", answered)
    alice.endpoint.keep_alive(alice.flow)
    assert await asyncio.wait_for(told, DEADLINE) == alice.flow.local
    assert not alice.flow.closed


async def test_a_path_that_is_not_there(kamailio: KamailioFactory, agent: AgentFactory) -> None:
    pbx = await kamailio(secure=True)
    with pytest.raises(HandshakeError, match="404"):
        await agent("alice", pbx, "ws", handshake=Handshake(location="/other"))


async def test_an_authority_that_is_not_ours(
    kamailio: KamailioFactory, agent: AgentFactory, authority: Authority
) -> None:
    pbx = await kamailio(secure=True)
    for transport in ("tls", "wss"):
        with pytest.raises(TlsError, match="not trusted"):
            await agent("alice", pbx, transport, tls=TlsOptions(authority.ca_file))
        with pytest.raises(TlsError, match="not for other"):
            await agent("alice", pbx, transport, domain="other.example")


async def test_client_certificates(kamailio: KamailioFactory, agent: AgentFactory) -> None:
    pbx = await kamailio(secure=True, client_certificates=True)
    assert pbx.authority is not None
    issued = pbx.authority.issue("client", uris=["sip:client.example"])
    alice = await agent("alice", pbx, "tls", tls=TlsOptions(pbx.ca_file, issued.cert, issued.key))
    assert (await alice.register()).code == 200
    # With TLS 1.3 the client is done before the server has looked.
    bob = await agent("bob", pbx, "tls")
    await asyncio.wait_for(_closed(bob.flow), DEADLINE)
    assert "cert-file" in bob.flow.reason


async def _closed(flow: Flow) -> None:
    closed = asyncio.Event()
    flow.on_closed.append(lambda _: closed.set())
    if not flow.closed:
        await closed.wait()
