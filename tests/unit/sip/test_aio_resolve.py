"""The resolver over a fake, over a real DNS server on loopback, and the dialer that goes to the next address."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from dialog_sip.aio import Endpoint, FlowError
from dialog_sip.aio.dial import Destination, Dialer, hop_of
from dialog_sip.aio.dns import ServerDns, SystemDns, read_hosts
from dialog_sip.aio.resolve import DnsError, LocateError, Resolver, usable_first
from dialog_sip.dns_cache import Answer
from dialog_sip.failover import Failover
from dialog_sip.locating import Hop, Naptr, Question, Record, Srv
from dialog_sip.uri import SipUri
from fixtures.dns_server import DnsServer


class FakeDns:
    def __init__(self) -> None:
        self.zone: dict[Question, tuple[Record, ...]] = {}
        self.asked: list[Question] = []
        self.away: set[str] = set()

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        if question.kind in self.away:
            raise DnsError("away")
        return Answer(self.zone.get(question, ()), 60)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def fake() -> FakeDns:
    return FakeDns()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resolver(fake: FakeDns, clock: Clock) -> Resolver:
    return Resolver(fake, rng=Random(1), now=clock, sort=list)


async def test_what_is_known_is_not_asked_again(resolver: Resolver, fake: FakeDns, clock: Clock) -> None:
    fake.zone[Question("e.com", "A")] = ("192.0.2.1",)
    for _ in range(3):
        assert await resolver.locate("e.com", transport="udp", port=5060) == [Hop("udp", "192.0.2.1", 5060)]
    assert len(fake.asked) == 2
    clock.now = 60
    await resolver.locate("e.com", transport="udp", port=5060)
    assert len(fake.asked) == 4


async def test_what_dns_said_last_serves_while_it_is_away(resolver: Resolver, fake: FakeDns, clock: Clock) -> None:
    fake.zone[Question("e.com", "A")] = ("192.0.2.1",)
    await resolver.locate("e.com", transport="udp", port=5060)
    clock.now, fake.away = 3600, {"A", "AAAA"}
    assert await resolver.locate("e.com", transport="udp", port=5060) == [Hop("udp", "192.0.2.1", 5060)]
    with pytest.raises(LocateError, match="cannot be found now"):
        await resolver.locate("other.com", transport="udp", port=5060)


async def test_dns_that_has_neither_naptr_nor_srv(resolver: Resolver, fake: FakeDns) -> None:
    fake.zone[Question("e.com", "A")] = ("192.0.2.1",)
    fake.away = {"NAPTR", "SRV"}
    assert await resolver.locate("e.com") == [Hop("udp", "192.0.2.1", 5060)]


async def test_a_name_without_address(resolver: Resolver) -> None:
    with pytest.raises(LocateError, match=r"no address for e\.com"):
        await resolver.locate("e.com", port=5060)


def test_addresses_without_a_route_come_last() -> None:
    good, bad = Hop("udp", "127.0.0.1", 5060), Hop("udp", "fe80::1", 5060)
    assert usable_first([bad, good]) == [good, bad]


async def test_a_real_server(dns_server: DnsServer) -> None:
    dns_server.add("e.example", "NAPTR", '10 50 "s" "SIP+D2T" "" _sip._tcp.e.example.', '9 1 "s" "X" "" x.example.')
    dns_server.add("_sip._tcp.e.example", "SRV", "1 1 5070 a.e.example.", "2 1 5080 b.e.example.")
    dns_server.add("a.e.example", "A", "127.0.0.1")
    dns_server.add("b.e.example", "AAAA", "::1")
    resolver = Resolver(ServerDns(dns_server.resolver()), rng=Random(1), sort=list)
    wanted = [Hop("tcp", "127.0.0.1", 5070), Hop("tcp", "::1", 5080)]
    assert await resolver.locate("e.example") == wanted
    count = len(dns_server.asked)
    assert await resolver.locate("e.example") == wanted
    assert len(dns_server.asked) == count


async def test_what_a_real_server_says(dns_server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    dns = ServerDns(dns_server.resolver())
    dns_server.add("e.example", "A", "192.0.2.1", "192.0.2.2")
    dns_server.add("e.example", "SRV", "1 2 3 .")
    dns_server.add("e.example", "NAPTR", '1 2 "S" "SIP+D2U" "" _sip._udp.e.example.')
    records, ttl = await dns.ask(Question("e.example", "A"))
    assert ({*records}, ttl) == ({"192.0.2.1", "192.0.2.2"}, 60)
    assert (await dns.ask(Question("e.example", "SRV"))).records == (Srv(1, 2, 3, "."),)
    naptr = Naptr(1, 2, "S", "SIP+D2U", "_sip._udp.e.example")
    assert (await dns.ask(Question("e.example", "NAPTR"))).records == (naptr,)
    assert await dns.ask(Question("e.example", "AAAA")) == Answer((), 7)
    assert await dns.ask(Question("none.example", "A")) == Answer((), 7)
    for name in ("x" * 70 + ".example", "a..b", ".".join(["x" * 60] * 5)):
        assert (await dns.ask(Question(name, "A"))).records == ()
    dns_server.broken = True
    with pytest.raises(DnsError, match="DNS fails"):
        await dns.ask(Question("e.example", "A"))
    monkeypatch.setattr("dialog_sip.aio.dns.LIFETIME", 0.2)
    dns_server.silent = True
    with pytest.raises(DnsError, match="does not answer"):
        await dns.ask(Question("e.example", "A"))


async def test_the_hosts_file_comes_first_and_the_system_last(dns_server: DnsServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.7 PBX pbx.example # mine\n2001:db8::7 pbx\n")
    dns_server.add("pbx.example", "A", "192.0.2.1")
    dns = SystemDns(dns_server.resolver(), hosts=hosts)
    assert (await dns.ask(Question("pbx.example", "A"))).records == ("192.0.2.7",)
    assert (await dns.ask(Question("pbx.example", "AAAA"))).records == ()
    assert (await dns.ask(Question("Pbx", "AAAA"))).records == ("2001:db8::7",)
    assert dns_server.asked == []
    assert (await dns.ask(Question("localhost", "A"))).records == ("127.0.0.1",)
    assert (await dns.ask(Question("pbx.example", "SRV"))).records == ()
    dns_server.broken = True
    with pytest.raises(DnsError):
        await dns.ask(Question("gone.invalid", "A"))
    nothing = SystemDns(dns_server.resolver(), hosts=tmp_path / "none")
    assert (await nothing.ask(Question("localhost", "A"))).records == ("127.0.0.1",)


def test_a_hosts_file_with_nonsense() -> None:
    text = "# nothing\n\nlocalhost\n127.0.0.1\nnonsense a b\nfe80::1%lo0 link\n127.0.0.1 a a2"
    assert read_hosts(text) == {"link": ("fe80::1",), "a": ("127.0.0.1",), "a2": ("127.0.0.1",)}


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint(lambda request: request.respond(200), keepalive=None)
    yield made
    await made.close()


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_the_next_address_is_taken_and_the_preferred_one_again(
    endpoint: Endpoint, resolver: Resolver, fake: FakeDns, clock: Clock
) -> None:
    listener = await endpoint.listen("tcp", "127.0.0.1")
    dead, alive = closed_port(), listener.address[1]
    fake.zone[Question("_sip._tcp.e.com", "SRV")] = (Srv(1, 1, dead, "h.e.com"), Srv(2, 1, alive, "h.e.com"))
    fake.zone[Question("h.e.com", "A")] = ("127.0.0.1",)
    dialer = Dialer(endpoint, resolver, failover=Failover(avoid=60), now=clock)
    destination = Destination("e.com", "tcp")
    flow = await dialer.connect(destination)
    assert hop_of(flow) == Hop("tcp", "127.0.0.1", alive)
    assert await dialer.preferred(flow, destination) is None
    clock.now = 61
    assert await dialer.preferred(flow, destination) == Hop("tcp", "127.0.0.1", dead)
    back = await endpoint.listen("tcp", "127.0.0.1", dead)
    better = await dialer.connect(destination)
    assert hop_of(better) == Hop("tcp", *back.address)
    dialer.failed(better)
    assert await dialer.alternative(better, destination) == Hop("tcp", "127.0.0.1", alive)
    dialer.worked(better)
    assert await dialer.preferred(flow, destination) == Hop("tcp", *back.address)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:bob@e.com", Destination("e.com")),
        ("sip:e.com:5080;transport=TCP", Destination("e.com", "tcp", 5080)),
        ("sips:bob@[2001:db8::1]", Destination("2001:db8::1", secure=True)),
        ("sip:bob@e.com;maddr=192.0.2.66", Destination("e.com")),
    ],
)
def test_where_requests_for_a_uri_go(uri: str, expected: Destination) -> None:
    assert Destination.of(SipUri.parse(uri)) == expected


async def test_sips_goes_over_tls_alone(endpoint: Endpoint, resolver: Resolver, fake: FakeDns) -> None:
    fake.zone[Question("e.com", "A")] = ("127.0.0.1",)
    dialer = Dialer(endpoint, resolver)
    assert await dialer.hops(Destination.of(SipUri.parse("sips:e.com"))) == [Hop("tls", "127.0.0.1", 5061)]
    with pytest.raises(LocateError):
        await dialer.hops(Destination.of(SipUri.parse("sips:e.com;transport=udp")))


async def test_why_every_address_failed_is_said(endpoint: Endpoint, resolver: Resolver, fake: FakeDns) -> None:
    fake.zone[Question("e.com", "A")] = ("127.0.0.1", "127.0.0.2")
    dialer = Dialer(endpoint, resolver)
    with pytest.raises(FlowError, match=r"127\.0\.0\.1.*127\.0\.0\.2"):
        await dialer.connect(Destination("e.com", "tcp", closed_port()))
    with pytest.raises(LocateError):
        await dialer.connect(Destination("other.com", "tcp", 5060))


async def test_an_address_of_ones_own_is_of_the_peers_family(endpoint: Endpoint, resolver: Resolver) -> None:
    listener = await endpoint.listen("udp", "::1")
    dialer = Dialer(endpoint, resolver)
    flow = await dialer.connect(Destination("::1", "udp", listener.address[1]), local=("127.0.0.1", closed_port()))
    assert flow.local[0] == "::1"
    flow = await dialer.connect(Destination("[::1]", "udp", listener.address[1]), local=("127.0.0.1", 0))
    assert flow.local[0] == "::1"
