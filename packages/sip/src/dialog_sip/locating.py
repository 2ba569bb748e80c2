"""Where requests for a SIP domain go: NAPTR, SRV, A and AAAA (RFC 3263 section 4), without I/O.

Theory of operation. :func:`locate` is a generator: it yields the questions of a step, is sent their answers, and
returns the hops, the preferred one first. What was not found has an empty answer. The steps::

    numeric host ──────────────────────────────────────────────► hop
    port given ────────────────────────────────► A, AAAA ──────► hops
    transport given ──────────► SRV ─┬─ found ─► A, AAAA ──────► hops
    neither ─► NAPTR ─┬─ found ─► SRV│
                      └─ none: SRV of every transport
                                     └─ none ──► A, AAAA ──────► hops at the default port

Randomness is an argument: SRV records of one priority are drawn by their weights (RFC 2782).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from ipaddress import ip_address
from random import Random
from typing import Final, NamedTuple

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""Port of each transport where nothing names one (RFC 3261 section 19.1.2, RFC 6455 section 3)."""
SRV_PREFIXES: Final = {
    "udp": "_sip._udp",
    "tcp": "_sip._tcp",
    "tls": "_sips._tcp",
    "ws": "_sip._ws",
    "wss": "_sips._ws",
}
"""What stands before the domain in SRV names, by transport (RFC 3263 section 4.1).

RFC 7118 has NAPTR services for websockets and leaves the SRV names open: these follow the pattern of the others.
"""
SERVICES: Final = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls", "SIP+D2W": "ws", "SIPS+D2W": "wss"}
"""Services of NAPTR records and their transports (RFC 3263 section 4.1, RFC 7118 section 10)."""
SECURE: Final = frozenset({"tls", "wss"})
"""Transports that a ``sips`` URI may take."""
SECURED: Final = {"tcp": "tls", "ws": "wss"}
"""What a ``sips`` URI means by a transport that it names (RFC 3261 section 26.2.2)."""
MAX_TARGETS: Final = 16
"""SRV targets that are looked up; a zone may hold thousands."""
MAX_HOPS: Final = 32
"""Addresses that a domain may have."""


class Question(NamedTuple):
    """What is asked of DNS (RFC 3263 section 4)."""

    name: str
    """Domain name without the final dot."""
    kind: str
    """``NAPTR``, ``SRV``, ``A`` or ``AAAA``."""


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str
    """``.`` says that there is decidedly no such service."""


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


Record = str | Srv | Naptr
"""The answer to a question: an address for A and AAAA."""
Answers = Mapping[Question, Sequence[Record]]
"""What DNS said to the questions of a step."""
Steps = Generator[tuple[Question, ...], Answers, list["Hop"]]
"""Yields questions, is sent their answers, returns hops."""


class Hop(NamedTuple):
    """One address to try (RFC 3263 section 4.2)."""

    transport: str
    host: str
    """A numeric address."""
    port: int


class _Service(NamedTuple):
    transport: str
    name: str


def numeric_host(host: str) -> str | None:
    """Return an IPv4 or IPv6 address (RFC 3263 section 4.2) in its one form, or None for a name.

    Brackets are taken off.
    """
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return None


def locate(
    domain: str,
    *,
    rng: Random,
    transport: str | None = None,
    port: int | None = None,
    secure: bool = False,
    supported: Sequence[str] = ("udp", "tcp", "tls"),
) -> Steps:
    """Find the hops of a domain. ``supported``: our transports, the preferred one first. ``secure``: for ``sips``.

    There is no hop for ``sips`` over UDP (RFC 3263 section 4.1).
    """
    if secure and transport is not None:
        transport = SECURED.get(transport, transport)
        if transport not in SECURE:
            return []
    usable = [name for name in supported if not secure or name in SECURE]
    plain = transport or (usable[0] if usable else "tls")
    address = numeric_host(domain)
    if address is not None:
        return [Hop(plain, address, port or DEFAULT_PORTS[plain])]
    if port is not None:
        return (yield from _addresses([(plain, domain, port)]))
    if transport is not None:
        services = [_Service(transport, f"{SRV_PREFIXES[transport]}.{domain}")]
    else:
        services = yield from _services(domain, usable)
    targets = yield from _targets(services, rng)
    if targets is None:
        targets = [(plain, domain, DEFAULT_PORTS[plain])]
    return (yield from _addresses(targets))


def in_order(records: Iterable[Srv], rng: Random) -> list[Srv]:
    """Return SRV records in the order in which to try them (RFC 2782): by priority, drawn by weight within one."""
    by_priority: dict[int, list[Srv]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    return [record for priority in sorted(by_priority) for record in _drawn(by_priority[priority], rng)]


def _drawn(records: list[Srv], rng: Random) -> list[Srv]:
    # Those without weight stand in front, and so have a small chance of being first (RFC 2782).
    left = sorted(rng.sample(records, len(records)), key=lambda record: record.weight > 0)
    drawn: list[Srv] = []
    while left:
        point, running = rng.randint(0, sum(record.weight for record in left)), 0
        for index, record in enumerate(left):
            running += record.weight
            if running >= point:
                drawn.append(left.pop(index))
                break
    return drawn


def _services(domain: str, usable: Sequence[str]) -> Generator[tuple[Question, ...], Answers, list[_Service]]:
    """Find the transports of a domain (RFC 3263 section 4.1)."""
    question = Question(domain, "NAPTR")
    answers = yield (question,)
    records = [record for record in answers.get(question, ()) if isinstance(record, Naptr)]
    found = [
        _Service(transport, record.replacement)
        for record in sorted(records)
        if record.flags.lower() == "s"
        and (transport := SERVICES.get(record.service.upper())) in usable
        and transport is not None
    ]
    return found or [_Service(transport, f"{SRV_PREFIXES[transport]}.{domain}") for transport in usable]


_Targets = list[tuple[str, str, int]]


def _targets(services: list[_Service], rng: Random) -> Generator[tuple[Question, ...], Answers, _Targets | None]:
    """Find the hosts of services; None where there are no SRV records at all."""
    questions = tuple(dict.fromkeys(Question(service.name, "SRV") for service in services))
    answers = yield questions
    targets: _Targets = []
    any_record = False
    for service in services:
        records = [record for record in answers.get(Question(service.name, "SRV"), ()) if isinstance(record, Srv)]
        any_record = any_record or bool(records)
        wanted = [record for record in in_order(records, rng) if record.target not in {".", ""}]
        targets += [(service.transport, record.target, record.port) for record in wanted]
    return targets[:MAX_TARGETS] if any_record else None


def _addresses(targets: _Targets) -> Steps:
    """Find the addresses of hosts, those of IPv6 first (RFC 6724); who knows of routes may sort them anew."""
    names = dict.fromkeys(host for _, host, _ in targets if numeric_host(host) is None)
    questions = tuple(Question(name, kind) for name in names for kind in ("AAAA", "A"))
    answers = (yield questions) if questions else {}
    hops: dict[Hop, None] = {}
    for transport, host, port in targets:
        for address in _addresses_of(host, answers):
            hops[Hop(transport, address, port)] = None
    return list(hops)[:MAX_HOPS]


def _addresses_of(host: str, answers: Answers) -> list[str]:
    if (own := numeric_host(host)) is not None:
        return [own]
    found = [record for kind in ("AAAA", "A") for record in answers.get(Question(host, kind), ())]
    return [address for record in found if isinstance(record, str) and (address := numeric_host(record)) is not None]
