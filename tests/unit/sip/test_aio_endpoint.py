"""The endpoint: whole exchanges over loopback, and what goes wrong on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from dialog_sip import CSeq, LocalProtocolError, NameAddr, Request, Response, Via
from dialog_sip.aio import (
    ClientRequest,
    Direction,
    Endpoint,
    Failure,
    Flow,
    FlowError,
    RequestFailedError,
    ServerRequest,
    Trace,
)
from dialog_sip.transactions import Timers

DEADLINE = 5.0
FAST = Timers(t1=0.01, t2=0.08, t4=0.05, d=0.2, c=1.0, u=0.3, u_invite=0.6)


def sip(method: str, call_id: str = "call", cseq: int = 1) -> Request:
    headers = [("Max-Forwards", "70"), ("From", "<sip:a@h>;tag=1"), ("To", "<sip:b@h>"), ("Call-ID", call_id)]
    return Request(method, "sip:b@h", [*headers, ("CSeq", f"{cseq} {method}")])


def ack_of(response: Response) -> Request:
    ack = sip("ACK", response.call_id)
    ack.headers.set("To", NameAddr.parse(response.headers.get("To") or ""))
    ack.headers.set("CSeq", CSeq(response.cseq.number, "ACK"))
    return ack


class Pair:
    """A server whose handler the test sets, and a client."""

    def __init__(self) -> None:
        self.handler: Callable[[ServerRequest], object] = lambda request: request.respond(200)
        self.requests: list[ServerRequest] = []
        self.stray_acks: list[Request] = []
        self.traces: list[Trace] = []
        self.server = Endpoint(self._handle, timers=FAST, on_stray_ack=lambda ack, _: self.stray_acks.append(ack))
        self.stray_success: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.client = Endpoint(
            lambda request: request.respond(200),
            timers=FAST,
            trace=self.traces.append,
            on_stray_success=lambda response, _: self.stray_success.set_result(response),
        )

    def _handle(self, request: ServerRequest) -> None:
        self.requests.append(request)
        self.handler(request)

    async def flow(self, transport: str = "udp", host: str = "127.0.0.1") -> Flow:
        listener = await self.server.listen(transport, host)
        return await self.client.connect(transport, *listener.address)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    yield made
    async with asyncio.timeout(DEADLINE):
        await made.client.close()
        await made.server.close()
    assert made.client.transactions == made.server.transactions == 0


async def heard(setup: Callable[[Callable[[object], None]], object]) -> object:
    """Return what a callback is called with; ``setup`` is given the callback."""
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    setup(lambda value=None: None if told.done() else told.set_result(value))
    async with asyncio.timeout(DEADLINE):
        return await told


async def final(client: ClientRequest) -> Response:
    async with asyncio.timeout(DEADLINE):
        return await client.final()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_request_and_its_answer(pair: Pair, transport: str, host: str) -> None:
    flow = await pair.flow(transport, host)
    client = pair.client.request(sip("OPTIONS"), flow)
    response = await final(client)
    assert response.code == 200
    assert client.is_over
    assert pair.requests[0].request.via.received == host
    assert pair.requests[0].request.via.rport == flow.local[1]
    assert pair.requests[0].final is not None


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_with_every_response(pair: Pair, transport: str) -> None:
    acks: list[Request] = []
    ended = asyncio.Event()

    def ring_and_answer(request: ServerRequest) -> None:
        request.on_ack, request.on_end = acks.append, ended.set
        request.respond(180)
        request.respond(200, body=b"v=0", content_type="application/sdp")

    pair.handler = ring_and_answer
    flow = await pair.flow(transport)
    client = pair.client.request(sip("INVITE"), flow)
    async with asyncio.timeout(DEADLINE):
        responses = [response async for response in client.responses()]
        assert [response.code for response in responses] == [100, 180, 200]
        pair.client.acknowledge(ack_of(responses[-1]), flow)
        await ended.wait()
    assert [ack.method for ack in acks] == ["ACK"]
    assert pair.stray_acks == []


async def test_callbacks_instead_of_awaiting(pair: Pair) -> None:
    pair.handler = lambda request: (request.respond(100), request.respond(404))
    flow = await pair.flow()
    codes: list[int] = []
    over = asyncio.Event()

    def note(response: Response) -> None:
        codes.append(response.code)
        if response.is_final:
            over.set()

    pair.client.request(sip("OPTIONS"), flow, on_response=note)
    assert codes == []
    async with asyncio.timeout(DEADLINE):
        await over.wait()
    assert codes == [100, 404]


async def test_an_invite_is_cancelled(pair: Pair) -> None:
    def ring(request: ServerRequest) -> None:
        request.on_cancel = lambda cancel: request.respond(487)
        request.respond(180)

    pair.handler = ring
    client = pair.client.request(sip("INVITE"), await pair.flow())
    assert client.cancel()
    assert (await final(client)).code == 487


async def test_a_cancel_that_nobody_looks_at_still_ends_the_invite(pair: Pair) -> None:
    pair.handler = lambda request: request.respond(180)
    client = pair.client.request(sip("INVITE"), await pair.flow())
    client.cancel()
    assert (await final(client)).code == 487


async def test_an_ack_that_never_comes_is_reported(pair: Pair) -> None:
    told = asyncio.Event()

    def answer(request: ServerRequest) -> None:
        request.on_ack_timeout = told.set
        request.respond(200)

    pair.handler = answer
    client = pair.client.request(sip("INVITE"), await pair.flow())
    await final(client)
    async with asyncio.timeout(DEADLINE):
        await told.wait()


async def test_an_ack_without_its_invite_goes_to_its_own_callback(pair: Pair) -> None:
    flow = await pair.flow()
    ack = sip("ACK")
    ack.headers.set("To", "<sip:b@h>;tag=2")
    pair.client.acknowledge(ack, flow)
    await final(pair.client.request(sip("OPTIONS"), flow))
    assert [stray.method for stray in pair.stray_acks] == ["ACK"]


async def test_a_success_without_its_invite_goes_to_its_own_callback(pair: Pair) -> None:
    flow = await pair.flow()
    await final(pair.client.request(sip("OPTIONS"), flow))
    peer = pair.requests[0].flow
    invite = sip("INVITE")
    invite.via = Via("UDP", *flow.local, {"branch": "z9hG4bK-of-another-process"})
    peer.send(invite.respond(200, to_tag="2").encode())
    async with asyncio.timeout(DEADLINE):
        response = await pair.stray_success
    assert (response.code, response.to.tag) == (200, "2")


async def test_a_peer_may_send_requests_back_on_the_flow(pair: Pair) -> None:
    flow = await pair.flow()
    await final(pair.client.request(sip("OPTIONS"), flow))
    back = pair.server.request(sip("OPTIONS", "back"), pair.requests[0].flow)
    assert (await final(back)).code == 200


async def test_a_handler_that_does_not_answer_is_stood_in_for(pair: Pair) -> None:
    ended = asyncio.Event()

    def keep(request: ServerRequest) -> None:
        request.on_end = ended.set

    pair.handler = keep
    client = pair.client.request(sip("OPTIONS"), await pair.flow())
    assert (await final(client)).code == 500
    assert ended.is_set()


async def test_a_port_that_nobody_serves_is_a_failure_at_once(pair: Pair) -> None:
    listener = await pair.server.listen("udp", "127.0.0.1")
    flow = await pair.client.connect("udp", *listener.address)
    listener.close()
    failure = await heard(lambda done: pair.client.request(sip("OPTIONS"), flow, on_failure=done))
    assert failure is Failure.TRANSPORT


async def test_no_answer_at_all(pair: Pair) -> None:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    try:
        flow = await pair.client.connect("udp", *transport.get_extra_info("sockname"))
        client = pair.client.request(sip("OPTIONS"), flow)
        with pytest.raises(RequestFailedError) as caught:
            await final(client)
        assert caught.value.failure is client.failure is Failure.TIMEOUT
        with pytest.raises(RequestFailedError):
            async for _ in client.responses():
                pass
    finally:
        transport.close()


async def test_a_connection_that_breaks_fails_what_is_under_way(pair: Pair) -> None:
    pair.handler = lambda request: request.flow.close()
    client = pair.client.request(sip("OPTIONS"), await pair.flow("tcp"))
    with pytest.raises(RequestFailedError) as caught:
        await final(client)
    assert caught.value.failure is Failure.TRANSPORT


async def test_nothing_is_sent_on_a_closed_flow(pair: Pair) -> None:
    flow = await pair.flow()
    flow.close()
    with pytest.raises(FlowError):
        pair.client.request(sip("OPTIONS"), flow)
    with pytest.raises(FlowError):
        pair.client.acknowledge(sip("ACK"), flow)


async def test_flows_to_one_address_are_shared(pair: Pair) -> None:
    listener = await pair.server.listen("tcp", "127.0.0.1")
    one, two = await asyncio.gather(*(pair.client.connect("tcp", *listener.address) for _ in range(2)))
    assert one is two
    assert await pair.client.connect("tcp", *listener.address) is one
    one.close()
    again = await pair.client.connect("tcp", *listener.address)
    assert again is not one


async def test_a_connect_that_is_given_up_does_not_end_that_of_others(pair: Pair) -> None:
    listener = await pair.server.listen("tcp", "127.0.0.1")
    impatient = asyncio.ensure_future(pair.client.connect("tcp", *listener.address))
    patient = asyncio.ensure_future(pair.client.connect("tcp", *listener.address))
    await asyncio.sleep(0)
    impatient.cancel()
    async with asyncio.timeout(DEADLINE):
        assert not (await patient).closed


async def test_what_cannot_be_reached(pair: Pair) -> None:
    listener = await pair.server.listen("tcp", "127.0.0.1")
    listener.close()
    with pytest.raises(FlowError):
        await pair.client.connect("tcp", *listener.address)
    with pytest.raises(FlowError, match="transport 'sctp' is not one of"):
        await pair.client.connect("sctp", "127.0.0.1", 5060)


async def test_a_handler_that_raises_is_answered_for(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: ServerRequest) -> None:
        raise RuntimeError("a bug")

    pair.handler = fail
    flow = await pair.flow()
    assert (await final(pair.client.request(sip("OPTIONS"), flow))).code == 500
    assert "a bug" in caplog.text
    pair.handler = lambda request: request.respond(200)
    assert (await final(pair.client.request(sip("OPTIONS"), flow))).code == 200


async def test_a_callback_that_raises_hurts_nothing_else(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    flow = await pair.flow()

    def fail(response: Response) -> None:
        raise RuntimeError("another bug")

    client = pair.client.request(sip("OPTIONS"), flow, on_response=fail)
    assert (await final(client)).code == 200
    assert (await final(pair.client.request(sip("OPTIONS"), flow))).code == 200
    assert "another bug" in caplog.text


async def test_a_second_final_response_is_refused(pair: Pair) -> None:
    refused: list[bool] = []

    def answer_twice(request: ServerRequest) -> None:
        request.respond(200)
        with pytest.raises(LocalProtocolError):
            request.respond(404)
        refused.append(True)

    pair.handler = answer_twice
    assert (await final(pair.client.request(sip("OPTIONS"), await pair.flow()))).code == 200
    assert refused == [True]


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"OPTIONS sip:h SIP/9.0\r\n", b"SIP/2.0 505 "),
        (b"OPTIONS sip:h SIP/2.0\r\nno header\r\n", b"SIP/2.0 400 "),
    ],
)
async def test_a_malformed_request_is_answered(pair: Pair, data: bytes, answer: bytes) -> None:
    flow = await pair.flow()
    rest = b"Via: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\n" + sip("OPTIONS").headers.encode().encode() + b"\r\n"
    got = await heard(
        lambda done: (
            setattr(pair.client, "trace", lambda trace: done(trace) if trace.direction is Direction.RECEIVED else None),
            flow.send(data + rest),
        )
    )
    assert isinstance(got, Trace)
    assert got.data.startswith(answer)


async def test_what_is_no_sip_is_dropped(pair: Pair) -> None:
    flow = await pair.flow()
    for data in (b"\r\n\r\n", b"\0", b"\0\1\0\0stun", b"hello", b"\xff" * 100, b"SIP/2.0 200 OK\r\n\r\n"):
        flow.send(data)
    assert (await final(pair.client.request(sip("OPTIONS"), flow))).code == 200
    assert len(pair.requests) == 1


async def test_every_message_is_traced_with_its_credentials_masked(pair: Pair) -> None:
    flow = await pair.flow()
    request = sip("REGISTER")
    request.headers.add("Authorization", 'Digest response="deadbeef"')
    await final(pair.client.request(request, flow))
    sent, received = pair.traces
    assert (sent.direction, received.direction) == (Direction.SENT, Direction.RECEIVED)
    assert sent.flow is received.flow is flow
    assert sent.at <= received.at
    assert b"deadbeef" not in sent.data
    assert b"Authorization: ***" in sent.data
    assert pair.requests[0].request.headers.get("Authorization") == 'Digest response="deadbeef"'


async def test_keepalives_go_out_on_flows_that_we_opened(pair: Pair) -> None:
    listener = await pair.server.listen("tcp", "127.0.0.1")
    client = Endpoint(lambda _: None, keepalive=0.01)
    try:
        flow = await client.connect("tcp", *listener.address)
        pings = await heard(lambda done: setattr(flow, "ping", lambda: done("ping")))
        assert pings == "ping"
    finally:
        await client.close()


async def test_a_keepalive_that_fails_fails_the_flow(pair: Pair) -> None:
    flow = await pair.flow()
    pair.handler = lambda _: None
    pending = pair.client.request(sip("OPTIONS"), flow)

    def broken() -> None:
        raise FlowError("gone")

    flow.ping = broken  # type: ignore[method-assign]
    pair.client._keepalives.ping_all()
    with pytest.raises(RequestFailedError):
        await final(pending)


async def test_closing_ends_everything(pair: Pair) -> None:
    pair.handler = lambda _: None
    flow = await pair.flow()
    pending = pair.client.request(sip("INVITE"), flow)
    ended: list[str] = []
    flow.on_closed.append(lambda _: ended.append("flow"))
    pending.on_failure = lambda failure: ended.append(failure.value)
    async with asyncio.timeout(DEADLINE):
        await pair.client.close()
        await pair.client.close()
    assert sorted(ended) == ["flow", "transport"]
    with pytest.raises(FlowError):
        pair.client.request(sip("OPTIONS"), flow)
    with pytest.raises(FlowError):
        await pair.client.connect("udp", "127.0.0.1", 5060)
    with pytest.raises(FlowError):
        await pair.client.listen("udp", "127.0.0.1")


async def test_closing_while_a_flow_is_being_opened() -> None:
    endpoint = Endpoint(lambda _: None)
    opening = asyncio.ensure_future(endpoint.connect("tcp", "127.0.0.1", 9))
    await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        await endpoint.close()
        results = await asyncio.gather(opening, return_exceptions=True)
    assert isinstance(results[0], FlowError)


async def test_peers_flows_are_announced(pair: Pair) -> None:
    opened: list[Flow] = []
    server = Endpoint(lambda request: request.respond(200), on_flow=opened.append)
    try:
        listener = await server.listen("udp", "127.0.0.1")
        flow = await pair.client.connect("udp", *listener.address)
        await final(pair.client.request(sip("OPTIONS"), flow))
        assert [one.remote for one in opened] == [flow.local]
    finally:
        await server.close()


async def test_many_at_a_time(pair: Pair) -> None:
    flow = await pair.flow("tcp")
    clients = [pair.client.request(sip("OPTIONS", f"call{number}"), flow) for number in range(300)]
    async with asyncio.timeout(DEADLINE):
        responses = await asyncio.gather(*(client.final() for client in clients))
    assert [response.call_id for response in responses] == [f"call{number}" for number in range(300)]
    assert len({client.id for client in clients}) == 300


async def test_nothing_is_called_after_the_end(pair: Pair) -> None:
    ended: list[str] = []

    def answer(request: ServerRequest) -> None:
        request.on_end = lambda: ended.append(request.id)
        request.respond(200)

    pair.handler = answer
    await final(pair.client.request(sip("OPTIONS"), await pair.flow()))
    await pair.server.close()
    assert ended == [pair.requests[0].id]
