"""DNS by dnspython (RFC 3263 section 4), and the system's own ways for addresses.

``/etc/hosts`` comes first for addresses, as everywhere else on a machine. A name that DNS does not know, or that
cannot be asked for, is given to the system's resolver: it may know search lists, mDNS or NIS.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

from dialog_sip.aio.resolve import DnsError
from dialog_sip.dns_cache import Answer
from dialog_sip.locating import Naptr, Question, Record, Srv, numeric_host

LIFETIME: Final = 4.0
"""Seconds for one question, over all name servers."""
SYSTEM_TTL: Final = 30.0
"""Seconds that an answer of the system's resolver holds: it does not say."""
NO_TTL: Final = 60.0
"""The same for an empty answer without SOA record."""
HOSTS: Final = Path("/etc/hosts")
"""Addresses that come before those of DNS."""

_NO_NAMES: Final = (dns.name.EmptyLabel, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.IDNAException)
_FAMILIES: Final = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}


class SystemDns:
    """What this machine knows of names: hosts file, DNS, the system's resolver (for RFC 3263 section 4)."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None, *, hosts: Path = HOSTS) -> None:
        self._hosts = hosts
        self._dns = ServerDns(resolver) if resolver is not None else _configured()

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raises :class:`DnsError`."""
        if question.kind not in _FAMILIES:
            return Answer((), NO_TTL) if self._dns is None else await self._dns.ask(question)
        listed = read_hosts(_text_of(self._hosts)).get(question.name.lower(), ())
        own = tuple(address for address in listed if (":" in address) == (question.kind == "AAAA"))
        if listed:
            return Answer(own, SYSTEM_TTL)
        return await self._address(question)

    async def _address(self, question: Question) -> Answer:
        failure: DnsError | None = None
        answer = Answer((), NO_TTL)
        if self._dns is not None:
            try:
                answer = await self._dns.ask(question)
            except DnsError as error:
                failure = error
        if answer.records:
            return answer
        found = await _system(question)
        if found:
            return Answer(found, SYSTEM_TTL)
        if failure is not None:
            raise failure
        return answer


class ServerDns:
    """The name servers of a dnspython resolver (for RFC 3263 section 4)."""

    def __init__(self, resolver: dns.asyncresolver.Resolver) -> None:
        self._resolver = resolver

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raises :class:`DnsError`."""
        try:
            found = await self._resolver.resolve(
                question.name, question.kind, search=False, raise_on_no_answer=False, lifetime=LIFETIME
            )
        except dns.resolver.NXDOMAIN as error:
            return Answer((), _negative_ttl(_responses(error)))
        except _NO_NAMES:
            return Answer((), NO_TTL)
        except dns.resolver.LifetimeTimeout as error:
            raise DnsError(f"DNS does not answer within {LIFETIME:g} s") from error
        except (dns.exception.DNSException, OSError) as error:
            raise DnsError(f"DNS fails for {question.name} {question.kind}: {type(error).__name__}") from error
        if found.rrset is None:
            return Answer((), _negative_ttl([found.response]))
        return Answer(tuple(_record(item) for item in found.rrset), found.rrset.ttl)


def read_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Return name -> addresses of a hosts file, names in lower case; they serve RFC 3263 section 4.2."""
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        numeric = numeric_host(address.partition("%")[0])
        if numeric is not None:
            for name in map(str.lower, aliases):
                names[name] = (*names.get(name, ()), numeric)
    return names


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # A container may have none.
        return ""


def _configured() -> ServerDns | None:
    try:
        return ServerDns(dns.asyncresolver.Resolver())
    except dns.resolver.NoResolverConfiguration:
        return None


async def _system(question: Question) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LIFETIME):
            found = await loop.getaddrinfo(question.name, None, family=_FAMILIES[question.kind], type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found))


def _negative_ttl(responses: Iterable[dns.message.Message]) -> float:
    """Return how long answers that say no hold (RFC 2308 section 5)."""
    authorities = [rrset for response in responses for rrset in response.authority]
    found = [float(min(rrset.ttl, rrset[0].minimum)) for rrset in authorities if rrset.rdtype == dns.rdatatype.SOA]
    return min(found, default=NO_TTL)


def _responses(error: dns.resolver.NXDOMAIN) -> list[dns.message.Message]:
    responses: dict[Any, dns.message.Message] = error.kwargs.get("responses", {})
    return list(responses.values())


def _record(item: Any) -> Record:  # noqa: ANN401  dnspython has a class for each type, made at run time
    if item.rdtype == dns.rdatatype.SRV:
        return Srv(item.priority, item.weight, item.port, _name(item.target))
    if item.rdtype == dns.rdatatype.NAPTR:
        flags, service = item.flags.decode("ascii", "replace"), item.service.decode("ascii", "replace")
        return Naptr(item.order, item.preference, flags, service, _name(item.replacement))
    return str(item.address)


def _name(name: Any) -> str:  # noqa: ANN401  as above
    return str(name.to_text(omit_final_dot=True))
