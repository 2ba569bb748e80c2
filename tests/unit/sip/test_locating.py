"""Where requests go (RFC 3263), what is remembered of DNS, and the change to another address: all without I/O."""

from __future__ import annotations

from random import Random

import pytest
from dialog_sip.congestion import transport_for
from dialog_sip.dns_cache import LONGEST_NEGATIVE, SHORTEST, STALE, Answer, DnsCache
from dialog_sip.failover import Failover
from dialog_sip.locating import (
    MAX_HOPS,
    MAX_TARGETS,
    Hop,
    Naptr,
    Question,
    Record,
    Srv,
    in_order,
    locate,
    numeric_host,
)
from hypothesis import given
from hypothesis import strategies as st

Zone = dict[tuple[str, str], list[Record]]


def run(domain: str, zone: Zone, **wanted: object) -> tuple[list[Hop], list[list[tuple[str, str]]]]:
    """Return the hops, and what was asked in each step."""
    steps = locate(domain, rng=Random(7), **wanted)  # type: ignore[arg-type]
    asked: list[list[tuple[str, str]]] = []
    try:
        questions = next(steps)
        while True:
            asked.append([(question.name, question.kind) for question in questions])
            questions = steps.send({question: zone.get((question.name, question.kind), []) for question in questions})
    except StopIteration as done:
        return done.value, asked


@pytest.mark.parametrize(
    ("domain", "wanted", "hop"),
    [
        ("192.0.2.1", {}, Hop("udp", "192.0.2.1", 5060)),
        ("192.0.2.1", {"port": 5080}, Hop("udp", "192.0.2.1", 5080)),
        ("[2001:DB8::1]", {"transport": "tls"}, Hop("tls", "2001:db8::1", 5061)),
        ("2001:db8::1", {"secure": True}, Hop("tls", "2001:db8::1", 5061)),
        ("192.0.2.1", {"secure": True, "transport": "tcp"}, Hop("tls", "192.0.2.1", 5061)),
        ("192.0.2.1", {"secure": True, "transport": "ws"}, Hop("wss", "192.0.2.1", 443)),
        ("192.0.2.1", {"transport": "ws"}, Hop("ws", "192.0.2.1", 80)),
        ("192.0.2.1", {"transport": "wss"}, Hop("wss", "192.0.2.1", 443)),
    ],
)
def test_a_numeric_host_is_not_looked_up(domain: str, wanted: dict[str, object], hop: Hop) -> None:
    assert run(domain, {}, **wanted) == ([hop], [])


def test_with_a_port_only_addresses_are_looked_up() -> None:
    zone: Zone = {("e.com", "A"): ["192.0.2.1", "192.0.2.2"], ("e.com", "AAAA"): ["2001:db8::1"]}
    hops, asked = run("e.com", zone, transport="tcp", port=5070)
    assert hops == [Hop("tcp", host, 5070) for host in ("2001:db8::1", "192.0.2.1", "192.0.2.2")]
    assert asked == [[("e.com", "AAAA"), ("e.com", "A")]]


def test_with_a_transport_srv_is_looked_up() -> None:
    zone: Zone = {
        ("_sips._tcp.e.com", "SRV"): [Srv(20, 1, 5071, "b.e.com"), Srv(10, 1, 5061, "a.e.com")],
        ("a.e.com", "A"): ["192.0.2.1"],
        ("b.e.com", "A"): ["192.0.2.2"],
    }
    hops, asked = run("e.com", zone, transport="tls")
    assert hops == [Hop("tls", "192.0.2.1", 5061), Hop("tls", "192.0.2.2", 5071)]
    assert len(asked) == 2


@pytest.mark.parametrize(("transport", "port"), [("udp", 5060), ("tcp", 5060), ("tls", 5061), ("ws", 80), ("wss", 443)])
def test_without_srv_the_default_port_is_taken(transport: str, port: int) -> None:
    hops, _ = run("e.com", {("e.com", "A"): ["192.0.2.1"]}, transport=transport)
    assert hops == [Hop(transport, "192.0.2.1", port)]


def test_naptr_chooses_the_transport() -> None:
    zone: Zone = {
        ("e.com", "NAPTR"): [
            Naptr(50, 50, "s", "SIP+D2U", "_sip._udp.e.com"),
            Naptr(20, 50, "s", "SIPS+D2T", "_sips._tcp.e.com"),
            Naptr(10, 50, "s", "SIPS+D2W", "_sips._ws.e.com"),
            Naptr(10, 50, "u", "SIP+D2T", "_sip._tcp.e.com"),
            Naptr(10, 10, "s", "E2U+sip", "x.e.com"),
        ],
        ("_sip._udp.e.com", "SRV"): [Srv(1, 1, 5060, "u.e.com")],
        ("_sips._tcp.e.com", "SRV"): [Srv(1, 1, 5061, "t.e.com")],
        ("u.e.com", "A"): ["192.0.2.1"],
        ("t.e.com", "A"): ["192.0.2.2"],
    }
    assert run("e.com", zone)[0] == [Hop("tls", "192.0.2.2", 5061), Hop("udp", "192.0.2.1", 5060)]
    assert run("e.com", zone, secure=True)[0] == [Hop("tls", "192.0.2.2", 5061)]
    assert run("e.com", zone, supported=("udp",))[0] == [Hop("udp", "192.0.2.1", 5060)]


def test_without_naptr_the_services_of_all_transports_are_looked_up() -> None:
    zone: Zone = {("_sip._tcp.e.com", "SRV"): [Srv(1, 1, 5060, "t.e.com")], ("t.e.com", "A"): ["192.0.2.2"]}
    hops, asked = run("e.com", zone)
    assert hops == [Hop("tcp", "192.0.2.2", 5060)]
    assert asked[1] == [(f"{name}.e.com", "SRV") for name in ("_sip._udp", "_sip._tcp", "_sips._tcp")]


def test_with_nothing_but_an_address_the_default_transport_is_taken() -> None:
    assert run("e.com", {("e.com", "A"): ["192.0.2.1"]})[0] == [Hop("udp", "192.0.2.1", 5060)]
    assert run("e.com", {("e.com", "A"): ["192.0.2.1"]}, secure=True)[0] == [Hop("tls", "192.0.2.1", 5061)]


def test_a_service_that_is_decidedly_not_there() -> None:
    zone: Zone = {("_sip._udp.e.com", "SRV"): [Srv(0, 0, 0, ".")], ("e.com", "A"): ["192.0.2.1"]}
    assert run("e.com", zone, transport="udp")[0] == []


def test_records_that_are_nonsense_are_left_out() -> None:
    zone: Zone = {("e.com", "A"): ["no address", "192.0.2.1", "192.0.2.1", Srv(1, 1, 1, "x")]}
    assert run("e.com", zone, port=5060)[0] == [Hop("udp", "192.0.2.1", 5060)]


def test_a_huge_zone_is_cut() -> None:
    zone: Zone = {("_sip._udp.e.com", "SRV"): [Srv(1, 1, 5060, f"h{number}.e.com") for number in range(5000)]}
    zone |= {(f"h{number}.e.com", "A"): [f"10.{n}.{number % 256}.1" for n in range(99)] for number in range(5000)}
    hops, asked = run("e.com", zone, transport="udp")
    assert len(hops) == MAX_HOPS
    assert len(asked[1]) == 2 * MAX_TARGETS


@given(st.lists(st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.just(5060), st.text(max_size=3))))
def test_every_record_is_tried_once_in_order_of_priority(records: list[Srv]) -> None:
    ordered = in_order(records, Random(1))
    assert sorted(ordered) == sorted(records)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)


def test_weights_are_kept() -> None:
    records = [Srv(1, 90, 5060, "often"), Srv(1, 10, 5060, "seldom"), Srv(1, 0, 5060, "hardly")]
    rng = Random(3)
    first = [in_order(records, rng)[0].target for _ in range(2000)]
    assert 1650 < first.count("often") < 1900
    assert 100 < first.count("seldom") < 300
    assert 0 < first.count("hardly") < 60


def test_without_weights_all_are_alike() -> None:
    records = [Srv(1, 0, 5060, str(number)) for number in range(4)]
    rng = Random(3)
    first = [in_order(records, rng)[0].target for _ in range(400)]
    assert all(first.count(str(number)) > 60 for number in range(4))


@pytest.mark.parametrize(
    ("host", "numeric"),
    [("192.0.2.1", "192.0.2.1"), ("[::1]", "::1"), ("2001:DB8:0::1", "2001:db8::1"), ("e.com", None), ("", None)],
)
def test_numeric_hosts(host: str, numeric: str | None) -> None:
    assert numeric_host(host) == numeric


QUESTION = Question("e.com", "A")


def test_an_answer_is_kept_for_its_time() -> None:
    cache = DnsCache()
    cache.put(QUESTION, Answer(("192.0.2.1",), 60), 100.0)
    assert cache.get(QUESTION, 159.9) == ("192.0.2.1",)
    assert cache.get(QUESTION, 160.0) is None
    assert cache.get(Question("e.com", "AAAA"), 100.0) is None


def test_an_answer_that_says_no_is_kept_as_well() -> None:
    cache = DnsCache()
    cache.put(QUESTION, Answer((), 1e9), 0.0)
    assert cache.get(QUESTION, LONGEST_NEGATIVE - 1) == ()
    assert cache.get(QUESTION, LONGEST_NEGATIVE) is None
    assert cache.stale(QUESTION, LONGEST_NEGATIVE) is None


def test_an_answer_of_no_time_serves_a_burst() -> None:
    cache = DnsCache()
    cache.put(QUESTION, Answer(("192.0.2.1",), 0), 0.0)
    assert cache.get(QUESTION, SHORTEST - 1) is not None


def test_a_stale_answer_serves_for_a_day() -> None:
    cache = DnsCache()
    cache.put(QUESTION, Answer(("192.0.2.1",), 60), 0.0)
    assert cache.stale(QUESTION, 60 + STALE - 1) == ("192.0.2.1",)
    assert cache.stale(QUESTION, 60 + STALE) is None


def test_the_cache_is_bounded_and_keeps_what_is_used() -> None:
    cache = DnsCache(limit=2)
    for number in range(2):
        cache.put(Question(str(number), "A"), Answer(("192.0.2.1",), 60), 0.0)
    assert cache.get(Question("0", "A"), 1.0) is not None
    cache.put(Question("2", "A"), Answer(("192.0.2.1",), 60), 0.0)
    assert len(cache) == 2
    assert cache.get(Question("1", "A"), 1.0) is None
    assert cache.get(Question("0", "A"), 1.0) is not None


def test_there_is_no_udp_for_sips() -> None:
    assert run("192.0.2.1", {}, secure=True, transport="udp")[0] == []


A, B, C = (Hop("udp", f"192.0.2.{number}", 5060) for number in (1, 2, 3))


def test_a_failed_address_is_avoided_for_a_time() -> None:
    failover = Failover(avoid=60)
    assert failover.order([A, B, C], 0) == [A, B, C]
    failover.failed(A, 0)
    assert failover.order([A, B, C], 1) == [B, C, A]
    failover.failed(B, 1)
    assert failover.order([A, B, C], 2) == [C, A, B]
    assert failover.order([A, B, C], 60) == [A, C, B]


def test_the_way_back() -> None:
    failover = Failover(avoid=60)
    failover.failed(A, 0)
    assert failover.preferred(B, [A, B], 30) is None
    assert failover.preferred(B, [A, B], 60) == A
    assert failover.preferred(A, [A, B], 60) is None
    assert failover.preferred(C, [A, B], 60) == A
    assert failover.preferred(C, [], 60) is None


def test_who_fails_again_is_avoided_longer_and_who_works_is_forgiven() -> None:
    failover = Failover(avoid=60, longest=100)
    failover.failed(A, 0)
    failover.failed(A, 60)
    assert failover.preferred(B, [A, B], 150) is None
    assert failover.preferred(B, [A, B], 160) == A
    failover.worked(A)
    failover.failed(A, 200)
    assert failover.preferred(B, [A, B], 260) == A


@pytest.mark.parametrize(
    ("size", "transport", "mtu", "expected"),
    [
        (1300, "udp", None, "udp"),
        (1301, "udp", None, "tcp"),
        (1301, "tls", None, "tls"),
        (1300, "udp", 1500, "udp"),
        (1301, "udp", 1500, "tcp"),
        (8800, "udp", 9000, "udp"),
    ],
)
def test_large_requests_leave_udp(size: int, transport: str, mtu: int | None, expected: str) -> None:
    assert transport_for(size, transport, path_mtu=mtu) == expected
