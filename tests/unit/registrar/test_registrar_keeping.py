"""Flows of every transport of a row, and those of a PBX with several addresses: away from one and back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from dialog_registrar.adapters.keeper import destination_of
from dialog_registrar.adapters.sip import SipFlows
from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import ServerTransaction
from dialog_runtime.config.modules import Registrar as Config
from dialog_schemas.mappings import Transport
from dialog_sip import Request, Response, SipUri
from dialog_sip.aio import Endpoint, Flow, ServerRequest, TlsOptions
from dialog_sip.aio.ws import WsServerFlow
from dialog_sip.dns_cache import Answer
from dialog_sip.locating import Question, Record, Srv
from dialog_sip.registration import Account, Registration, RegistrationSettings
from dialog_sip.transactions import Failure
from fixtures.certificates import Authority
from fixtures.registrar_edge import sip_request

DEADLINE = 10.0


@dataclass
class Events:
    """What the flows reported."""

    up: list[str] = field(default_factory=list)
    down: int = 0
    troubles: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def flow_up(self, server: Server, address: str) -> None:
        self.up.append(address)
        self.news.set()

    def flow_down(self, server: Server) -> None:
        self.down += 1
        self.news.set()

    def flow_failed(self, server: Server, why: str) -> None:
        self.troubles.append(why)
        self.news.set()

    def flow_closed(self, server: Server) -> None:
        self.news.set()

    def silence_ended(self, server: Server, seconds: float) -> None:
        self.silences.append(seconds)
        self.news.set()

    def request_received(self, server: Server, transaction: ServerTransaction) -> None:
        self.requests.append(transaction.request)
        transaction.respond(transaction.request.respond(200))
        self.news.set()

    def cancel_received(self, transaction: ServerTransaction, cancel: Request) -> None:
        self.news.set()

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        self.news.set()

    def received(self, response: Response) -> None:
        self.codes.append(response.code)
        self.news.set()

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)
        self.news.set()

    def may_repeat(self) -> bool:
        return True

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                self.news.clear()
                await self.news.wait()


class FakeDns:
    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[Record, ...]] = {}

    async def ask(self, question: Question) -> Answer:
        return Answer(self.zone.get((question.name, question.kind), ()), 0)


class Stage:
    """Flows under test and their peers."""

    def __init__(self) -> None:
        self.events, self.dns = Events(), FakeDns()
        self.flows: list[Flow] = []
        self.pbx = Endpoint(self._answer, keepalive=None, on_flow=self.flows.append)
        self.asked: list[tuple[str, int]] = []
        self.mine: list[tuple[SipFlows, asyncio.Task[None]]] = []

    def _answer(self, request: ServerRequest) -> None:
        self.asked.append((request.request.method, request.flow.local[1]))
        request.respond(200)
        self.events.news.set()

    def make(self, **config: object) -> SipFlows:
        flows = SipFlows(Config(**config), self.events, dns=self.dns)  # type: ignore[arg-type]
        self.mine.append((flows, asyncio.create_task(flows.run())))
        return flows

    async def ask(self, flows: SipFlows, server: Server, method: str = "OPTIONS") -> None:
        """Send a request and wait for what becomes of it."""
        request = sip_request(method)
        request.headers.remove("Via")
        count = len(self.events.codes) + len(self.events.failures)
        flows.send(server, request, self.events)
        await self.events.until(lambda: len(self.events.codes) + len(self.events.failures) > count)

    async def close(self) -> None:
        for flows, task in self.mine:
            flows.stop()
            await asyncio.wait_for(task, DEADLINE)
        await self.pbx.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.close()


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_every_transport_of_a_row(stage: Stage, authority: Authority, transport: Transport, host: str) -> None:
    issued = authority.for_loopback()
    listener = await stage.pbx.listen(transport, host, tls=TlsOptions(cert_file=issued.cert, key_file=issued.key))
    flows = stage.make(tls={"ca-file": str(authority.ca_file)})
    server = Server(transport, host, listener.address[1], "POST", "pbx.example.com:80", "/index")
    if transport is Transport.WSS:
        server = server._replace(handshake_host="localhost:443")
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    await stage.ask(flows, server)
    assert stage.events.codes == [200]
    contact = flows.contact(server, "alice")
    assert contact is not None
    uri = SipUri.parse(contact)
    if transport in {Transport.WS, Transport.WSS}:
        taken = stage.flows[0]
        assert isinstance(taken, WsServerFlow)
        assert (taken.handshake.method, taken.handshake.location) == ("POST", "/index")
        assert taken.handshake.host == server.handshake_host
        assert (uri.host.endswith(".invalid"), uri.transport) == (True, "ws")
    else:
        assert (uri.address, uri.transport) == (host, None if transport is Transport.UDP else transport.value)
    call = sip_request("MESSAGE", uri=contact)
    call.headers.remove("Via")
    client = stage.pbx.request(call, stage.flows[0])
    assert (await asyncio.wait_for(client.final(), DEADLINE)).code == 200
    assert [each.method for each in stage.events.requests] == ["MESSAGE"]


async def test_the_contact_of_a_websocket_stays_over_reconnections(stage: Stage) -> None:
    listener = await stage.pbx.listen("ws", "127.0.0.1")
    server = Server(Transport.WS, "127.0.0.1", listener.address[1], "GET", "x", "/")
    stage.make().open(server, None)
    await stage.events.until(lambda: stage.flows)
    stage.flows[0].close()
    await stage.events.until(lambda: len(stage.events.up) == 2)
    assert len(set(stage.events.up)) == 1
    assert stage.events.down == 1


async def test_a_flow_with_outbound_is_kept_as_the_pbx_says_and_told_of_in_contact(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int | None] = []
    monkeypatch.setattr(Endpoint, "keep_alive", lambda _self, _flow, timer: kept.append(timer))
    port = (await stage.pbx.listen("udp", "127.0.0.1")).address[1]
    server = Server(Transport.UDP, "127.0.0.1", port)
    flows = stage.make(local_host="127.0.0.1")
    flows.keep_alive(server, 30)
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    plain = flows.contact(server, "alice")
    for timer in (30, 30, None, None, 60):
        flows.keep_alive(server, timer)
    assert kept == [30, None, 60]
    assert flows.contact(server, "alice") == f"{plain};ob"
    flows._flow(server).close()
    await stage.events.until(lambda: len(stage.events.up) > 1)
    assert str(flows.contact(server, "alice")).endswith(":" + stage.events.up[-1].rpartition(":")[2])


async def test_an_untrusted_pbx_is_said(stage: Stage, authority: Authority) -> None:
    issued = authority.for_loopback()
    listener = await stage.pbx.listen("tls", "127.0.0.1", tls=TlsOptions(cert_file=issued.cert, key_file=issued.key))
    server = Server(Transport.TLS, "127.0.0.1", listener.address[1])
    stage.make().open(server, None)
    await stage.events.until(lambda: stage.events.troubles)
    assert "not trusted" in stage.events.troubles[0]
    stage.make(tls={"verify": False}).open(server, None)
    await stage.events.until(lambda: stage.events.up)


async def test_two_domains_on_one_pbx_have_a_flow_each(stage: Stage) -> None:
    listener = await stage.pbx.listen("udp", "127.0.0.1")
    stage.dns.zone[("a.example", "A")] = stage.dns.zone[("b.example", "A")] = ("127.0.0.1",)
    flows = stage.make()
    servers = [Server(Transport.UDP, name, listener.address[1]) for name in ("a.example", "b.example")]
    for server in servers:
        flows.open(server, None)
    await stage.events.until(lambda: len(stage.events.up) == 2)
    assert flows.flow_name(servers[0]) != flows.flow_name(servers[1])


async def test_a_pbx_that_was_started_anew_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.pinging.AGAIN_AFTER", 0.02)
    port = (await stage.pbx.listen("udp", "127.0.0.1")).address[1]
    flows = stage.make(options_interval="20 ms")
    flows.open(Server(Transport.UDP, "127.0.0.1", port), None)
    await stage.events.until(lambda: stage.asked)
    await stage.pbx.close()
    stage.pbx = Endpoint(stage._answer, keepalive=None, on_flow=stage.flows.append)
    gone = len(stage.asked)
    await asyncio.wait([stage.mine[0][1]], timeout=0.2)
    assert len(stage.asked) == gone
    await stage.pbx.listen("udp", "127.0.0.1", port)
    await stage.events.until(lambda: stage.events.silences)
    assert len(stage.events.up) == 1


async def test_dns_that_names_another_address_is_followed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper.RETURN_EVERY", 0.05)
    first, second = [(await stage.pbx.listen("udp", "127.0.0.1")).address[1] for _ in range(2)]
    service = ("_sip._udp.pbx.example", "SRV")
    stage.dns.zone[("a.pbx.example", "A")] = ("127.0.0.1",)
    stage.dns.zone[service] = (Srv(1, 1, first, "a.pbx.example"),)
    server = Server(Transport.UDP, "pbx.example", 5060)
    flows = stage.make(local_host="127.0.0.1")
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    stage.dns.zone[service] = (Srv(1, 1, second, "a.pbx.example"),)
    await stage.events.until(lambda: len(stage.events.up) > 1)
    await stage.ask(flows, server, "MESSAGE")
    assert ("MESSAGE", second) in stage.asked


async def test_a_name_that_dns_does_not_know_is_said_and_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper._FIRST_PAUSE", 0.01)
    port = (await stage.pbx.listen("udp", "127.0.0.1")).address[1]
    stage.make(local_host="127.0.0.1").open(Server(Transport.UDP, "pbx.invalid", port), None)
    await stage.events.until(lambda: stage.events.troubles)
    assert "pbx.invalid" in stage.events.troubles[0]
    stage.dns.zone[("pbx.invalid", "A")] = ("127.0.0.1",)
    await stage.events.until(lambda: stage.events.up)


def avoid_no_more(flows: SipFlows) -> None:
    """Let the time be up for which addresses that failed are avoided."""
    flows._dialer._failover._failures.clear()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_away_from_an_address_that_is_gone_and_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper.RETURN_EVERY", 0.05)
    monkeypatch.setattr("dialog_registrar.adapters.keeper._FIRST_PAUSE", 0.01)
    first, second = free_port(), (await stage.pbx.listen(transport, "127.0.0.1")).address[1]
    stage.dns.zone[(f"_sip._{transport}.pbx.example", "SRV")] = (
        Srv(1, 1, first, "a.pbx.example"),
        Srv(2, 1, second, "a.pbx.example"),
    )
    stage.dns.zone[("a.pbx.example", "A")] = ("127.0.0.1",)
    server = Server(Transport(transport), "pbx.example", 5060)
    flows = stage.make(local_host="127.0.0.1")
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    if transport == "udp":
        # Nothing tells that nobody listens, until something is sent.
        await stage.ask(flows, server)
        assert stage.events.failures == [Failure.TRANSPORT]
        await stage.events.until(lambda: len(stage.events.up) > 1)
    await stage.ask(flows, server, "MESSAGE")
    assert ("MESSAGE", second) in stage.asked
    count = len(stage.events.up)
    await stage.pbx.listen(transport, "127.0.0.1", first)
    avoid_no_more(flows)
    await stage.events.until(lambda: len(stage.events.up) > count)
    await stage.ask(flows, server, "INFO")
    assert ("INFO", first) in stage.asked
    assert ("OPTIONS", first) in stage.asked
    assert stage.events.down == len(stage.events.up) - 1


@pytest.mark.parametrize("by", ["its time", "the keeper's end"])
async def test_the_flow_of_before_stays_for_its_calls_until(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper.RETURN_EVERY", 0.05)
    monkeypatch.setattr("dialog_registrar.adapters.keeper.ANSWER_WITHIN", DEADLINE)
    monkeypatch.setattr("dialog_registrar.adapters.keeper.OLD_FLOW", 0.1 if by == "its time" else 600.0)
    first, second = free_port(), (await stage.pbx.listen("tcp", "127.0.0.1")).address[1]
    stage.dns.zone[("_sip._tcp.pbx.example", "SRV")] = (
        Srv(1, 1, first, "a.pbx.example"),
        Srv(2, 1, second, "a.pbx.example"),
    )
    stage.dns.zone[("a.pbx.example", "A")] = ("127.0.0.1",)
    server = Server(Transport.TCP, "pbx.example", 5060)
    flows = stage.make(local_host="127.0.0.1")
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    flow, keeper = flows._flow(server), flows._keepers[server]
    flow.on_closed.append(lambda _flow: stage.events.news.set())
    await stage.pbx.listen("tcp", "127.0.0.1", first)
    avoid_no_more(flows)
    await stage.events.until(lambda: len(stage.events.up) > 1)
    if by == "the keeper's end":
        (timer,) = keeper._old.values()
        assert not flow.closed
        await keeper.stop()
        assert timer.cancelled()
    await stage.events.until(lambda: flow.closed)
    assert not keeper._old


class Silence:
    """A UDP port that takes everything and answers nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))

    def end(self) -> None:
        self._socket.close()


def answer_within(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for module in ("keeper", "pinging"):
        monkeypatch.setattr(f"dialog_registrar.adapters.{module}.ANSWER_WITHIN", seconds)


@pytest.mark.parametrize("met_by", ["REGISTER", "OPTIONS"])
async def test_away_from_an_address_that_is_silent_and_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, met_by: str
) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper.RETURN_EVERY", 0.05)
    answer_within(monkeypatch, DEADLINE)
    first = (await stage.pbx.listen("udp", "127.0.0.1")).address[1]
    second = (await stage.pbx.listen("udp", "127.0.0.1")).address[1]
    stage.dns.zone[("_sip._udp.pbx.example", "SRV")] = tuple(
        Srv(priority, 1, port, "a.pbx.example") for priority, port in ((1, first), (2, second))
    )
    stage.dns.zone[("a.pbx.example", "A")] = ("127.0.0.1",)
    server = Server(Transport.UDP, "pbx.example", 5060)
    flows = stage.make(local_host="127.0.0.1", options_interval="20 ms" if met_by == "OPTIONS" else "0 s")
    flows.open(server, None)
    # The second OPTIONS goes out once the first is answered, and only who answered before can fall silent.
    await stage.events.until(lambda: len(stage.asked) > 1 if met_by == "OPTIONS" else stage.events.up)
    answer_within(monkeypatch, 0.5)
    await stage.pbx.close()
    silence = Silence(first)
    stage.pbx = Endpoint(stage._answer, keepalive=None, on_flow=stage.flows.append)
    await stage.pbx.listen("udp", "127.0.0.1", second)
    if met_by == "REGISTER":
        registration = Registration(
            Account("sip:alice@pbx.example", "sip:pbx.example"), RegistrationSettings(), call_id="c1",
            contact="sip:alice@127.0.0.1",
        )  # fmt: skip
        registration.start(0.0)
        flows.register(server, registration.register(0.0), stage.events).hush()
    await stage.events.until(lambda: stage.events.down)
    # What follows is answered: however late, that is no silence.
    answer_within(monkeypatch, DEADLINE)
    await stage.events.until(lambda: len(stage.events.up) > 1)
    await stage.ask(flows, server, "MESSAGE")
    assert ("MESSAGE", second) in stage.asked
    count = len(stage.events.up)
    silence.end()
    await stage.pbx.listen("udp", "127.0.0.1", first)
    avoid_no_more(flows)
    await stage.events.until(lambda: len(stage.events.up) > count)
    await stage.ask(flows, server, "INFO")
    assert ("INFO", first) in stage.asked


async def test_the_only_address_of_a_pbx_is_not_left_for_its_silence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialog_registrar.adapters.keeper.ANSWER_WITHIN", 0.01)
    silence = Silence(0)
    server = Server(Transport.UDP, "127.0.0.1", silence._socket.getsockname()[1])
    flows = stage.make(local_host="127.0.0.1")
    flows.open(server, None)
    await stage.events.until(lambda: stage.events.up)
    flows._unheard(flows._flow(server))
    await asyncio.wait([stage.mine[0][1]], timeout=0.1)
    assert (len(stage.events.up), stage.events.down) == (1, 0)
    silence.end()


@pytest.mark.parametrize(
    ("server", "port"),
    [
        (Server(Transport.UDP, "pbx.example", 5060), None),
        (Server(Transport.TLS, "pbx.example", 5061), None),
        (Server(Transport.TLS, "pbx.example", 5060), 5060),
        (Server(Transport.UDP, "pbx", 5060), 5060),
        (Server(Transport.UDP, "192.0.2.1", 5060), 5060),
        (Server(Transport.WSS, "pbx.example", 443), None),
    ],
)
def test_when_a_port_counts_as_named(server: Server, port: int | None) -> None:
    assert destination_of(server, TlsOptions()).port == port


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        tcp.bind(("127.0.0.1", port))
        return port
