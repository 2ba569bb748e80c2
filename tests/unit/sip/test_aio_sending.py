"""Requests to SIP domains over loopback: the next address where one fails, and TCP for what is too large."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest
from dialog_sip import Request
from dialog_sip.aio import ClientRequest, Endpoint, Failure, FlowError, RequestFailedError, ServerRequest
from dialog_sip.aio.dial import Destination, Dialer
from dialog_sip.aio.resolve import Resolver
from dialog_sip.aio.sending import Sender
from dialog_sip.dns_cache import Answer as DnsAnswer
from dialog_sip.failover import Failover
from dialog_sip.locating import Question, Srv
from dialog_sip.transactions import Timers

DEADLINE = 10.0
AFTER_TIMER_F = 65 * Timers().t1
DOMAIN = Destination("e.com", "udp")


class Zone:
    """A domain whose SRV records name ports on loopback, the best first."""

    def __init__(self) -> None:
        self.ports: list[int] = []

    async def ask(self, question: Question) -> DnsAnswer:
        if question.kind == "SRV":
            return DnsAnswer(tuple(Srv(rank, 1, port, "h.e.com") for rank, port in enumerate(self.ports)), 60)
        return DnsAnswer(("127.0.0.1",) if question.kind == "A" else (), 60)


class Stage:
    """A sender, and servers that answer as the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.zone = Zone()
        self.heard: list[str] = []
        self.endpoint = Endpoint(lambda request: request.respond(200), keepalive=None)
        self._servers: list[Endpoint] = []
        resolver = Resolver(self.zone, rng=Random(1), now=lambda: self.now, sort=list)
        self.dialer = Dialer(self.endpoint, resolver, failover=Failover(), now=lambda: self.now)
        self.sender = Sender(self.endpoint, self.dialer)

    def expire(self) -> None:
        """Let the timers of the sender's transactions run out, however slow the machine is."""
        self.endpoint._layer.handle_timer(asyncio.get_running_loop().time() + AFTER_TIMER_F)
        self.endpoint._settle()

    def silence(self, request: ServerRequest) -> None:
        """Answer nothing, until the sender gives up."""
        asyncio.get_running_loop().call_soon(self.expire)

    async def server(
        self, name: str, answer: Callable[[ServerRequest], object], *transports: str, port: int = 0
    ) -> int:
        """Start a server, the next best of the domain."""

        def take(request: ServerRequest) -> None:
            self.heard.append(f"{name} {request.flow.transport} {request.request.method}")
            answer(request)

        made = Endpoint(take, keepalive=None)
        self._servers.append(made)
        for transport in transports or ("udp",):
            port = (await made.listen(transport, "127.0.0.1", port)).address[1]
        self.zone.ports.append(port)
        return port

    async def send(
        self,
        message: Request,
        sender: Sender | None = None,
        on_attempt: Callable[[ClientRequest], object] | None = None,
    ) -> tuple[int, str]:
        async with asyncio.timeout(DEADLINE):
            response, flow = await (sender or self.sender).request(message, DOMAIN, on_attempt=on_attempt)
        return response.code, flow.transport

    async def close(self) -> None:
        for endpoint in (self.endpoint, *self._servers):
            await endpoint.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.close()


_call_ids = itertools.count()


def options(size: int = 0, method: str = "OPTIONS") -> Request:
    call_id = f"c{next(_call_ids)}"
    headers = [("Max-Forwards", "70"), ("From", "<sip:a@h>;tag=1"), ("To", "<sip:b@e.com>"), ("Call-ID", call_id)]
    return Request(method, "sip:b@e.com", [*headers, ("CSeq", f"1 {method}")], b"x" * size)


def ok(request: ServerRequest) -> None:
    request.respond(200)


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_a_silent_server_is_left_after_timer_f_and_tried_again_later(stage: Stage) -> None:
    await stage.server("first", stage.silence)
    await stage.server("second", ok)
    assert await stage.send(options()) == (200, "udp")
    assert stage.heard == ["first udp OPTIONS", "second udp OPTIONS"]
    assert await stage.send(options()) == (200, "udp")
    assert stage.heard[2:] == ["second udp OPTIONS"]
    stage.now = 61
    await stage.send(options())
    assert stage.heard[3:] == ["first udp OPTIONS", "second udp OPTIONS"]


async def test_each_address_gets_a_transaction_of_its_own(stage: Stage) -> None:
    seen: list[Request] = []
    for name, code in (("first", 503), ("second", 200)):
        await stage.server(name, lambda request, code=code: seen.append(request.request) or request.respond(code))
    assert await stage.send(options()) == (200, "udp")
    one, other = seen
    assert one.via.branch != other.via.branch
    assert (one.call_id, one.cseq) == (other.call_id, other.cseq)


async def test_a_503_goes_on_and_its_retry_after_is_obeyed(stage: Stage) -> None:
    await stage.server("first", lambda request: request.respond(503, headers=[("Retry-After", "600 (busy)")]))
    await stage.server("second", ok)
    assert await stage.send(options()) == (200, "udp")
    stage.now = 599
    await stage.send(options())
    assert stage.heard == ["first udp OPTIONS", "second udp OPTIONS", "second udp OPTIONS"]
    stage.now = 601
    await stage.send(options())
    assert stage.heard[3:] == ["first udp OPTIONS", "second udp OPTIONS"]


async def test_a_server_that_refuses_by_icmp_is_left_at_once(stage: Stage) -> None:
    stage.zone.ports.append(unused_port())
    await stage.server("second", ok)
    assert await stage.send(options()) == (200, "udp")


@pytest.mark.parametrize("code", [404, 500, 600])
async def test_other_answers_are_answers(stage: Stage, code: int) -> None:
    await stage.server("first", lambda request: request.respond(code))
    await stage.server("second", ok)
    assert await stage.send(options()) == (code, "udp")


async def test_where_all_say_503_it_is_503(stage: Stage) -> None:
    for name in ("first", "second"):
        await stage.server(name, lambda request: request.respond(503))
    assert await stage.send(options()) == (503, "udp")
    assert len(stage.heard) == 2


async def test_where_all_are_silent_it_is_a_timeout(stage: Stage) -> None:
    for name in ("first", "second"):
        await stage.server(name, stage.silence)
    with pytest.raises(RequestFailedError) as caught:
        await stage.send(options())
    assert caught.value.failure is Failure.TIMEOUT
    assert len(stage.heard) == 2


async def test_a_request_that_has_arrived_goes_to_nobody_else(stage: Stage) -> None:
    def attempt(client: ClientRequest) -> None:
        client.on_response = lambda _: stage.expire()

    await stage.server("first", lambda request: request.respond(100))
    await stage.server("second", ok)
    with pytest.raises(RequestFailedError) as caught:
        await stage.send(options(), on_attempt=attempt)
    assert caught.value.failure is Failure.TIMEOUT
    assert stage.heard == ["first udp OPTIONS"]


async def test_a_domain_that_no_flow_leads_to(stage: Stage) -> None:
    stage.zone.ports.append(unused_port())
    with pytest.raises(FlowError):
        async with asyncio.timeout(DEADLINE):
            await stage.sender.request(options(), Destination("e.com", "tcp"))


async def test_who_gives_up_cancels_an_invite(stage: Stage) -> None:
    ringing, cancelled = asyncio.Event(), asyncio.Event()

    def ring(request: ServerRequest) -> None:
        def cancel(_: Request) -> None:
            cancelled.set()
            request.respond(487)

        request.on_cancel = cancel
        request.respond(180)

    def attempt(client: ClientRequest) -> None:
        client.on_response = lambda _: ringing.set()

    await stage.server("first", ring)
    waiting = asyncio.create_task(stage.sender.request(options(method="INVITE"), DOMAIN, on_attempt=attempt))
    async with asyncio.timeout(DEADLINE):
        await ringing.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await cancelled.wait()


async def test_what_is_too_large_goes_over_tcp(stage: Stage) -> None:
    await stage.server("first", ok, "tcp", "udp")
    assert await stage.send(options(900)) == (200, "udp")
    assert await stage.send(options(1300)) == (200, "tcp")
    assert stage.heard == ["first udp OPTIONS", "first tcp OPTIONS"]


async def test_a_path_mtu_that_is_known_decides(stage: Stage) -> None:
    await stage.server("first", ok, "tcp", "udp")
    wide = Sender(stage.endpoint, stage.dialer, path_mtu=9000)
    assert await stage.send(options(1300), wide) == (200, "udp")
    narrow = Sender(stage.endpoint, stage.dialer, path_mtu=576)
    assert await stage.send(options(300), narrow) == (200, "tcp")


async def test_a_peer_without_tcp_gets_it_over_udp_after_all_and_tcp_is_not_tried_each_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, tried = stage.endpoint.connect, []

    async def counted(transport: str, *args: object, **kwargs: object) -> object:
        tried.append(transport)
        return await connect(transport, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(stage.endpoint, "connect", counted)
    await stage.server("first", ok)
    assert await stage.send(options(1300)) == (200, "udp")
    assert await stage.send(options(1300)) == (200, "udp")
    assert tried == ["tcp", "udp", "udp"]


async def test_large_requests_stay_on_udp_where_that_is_wanted(stage: Stage) -> None:
    await stage.server("first", ok, "tcp", "udp")
    stubborn = Sender(stage.endpoint, stage.dialer, large_over_tcp=False)
    assert await stage.send(options(3000), stubborn) == (200, "udp")
