"""Finds the addresses of a SIP domain (RFC 3263 section 4).

Asks DNS what ``dialog_sip.locating`` wants to know, and remembers it.
DNS stands behind :class:`Dns`, so that tests have their own. Where DNS cannot be asked now, what it said before serves
on; where it answers neither NAPTR nor SRV, as small resolvers do, the next step of RFC 3263 is taken.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

from dialog_sip.aio.flow import FlowError
from dialog_sip.dns_cache import Answer, DnsCache
from dialog_sip.errors import SipError
from dialog_sip.locating import Answers, Hop, Question, Record, Steps, locate


class DnsError(SipError):
    """DNS cannot be asked now, or fails; it did not say that there is no such name (RFC 1035 section 4.1.1)."""


class LocateError(FlowError):
    """A domain has no address, or none can be found now (RFC 3263 section 4)."""


class Dns(Protocol):
    """Answers questions for NAPTR, SRV and addresses (RFC 3263 sections 4.1 and 4.2)."""

    async def ask(self, question: Question) -> Answer:
        """Return the answer, empty where there is no such name. Within a deadline; raises :class:`DnsError`."""


class Resolver:
    """Locates domains; one for a process, for its memory (RFC 3263 section 4).

    ``now`` is a clock of seconds, the loop's by default.
    """

    def __init__(
        self,
        dns: Dns,
        *,
        rng: Random,
        now: Callable[[], float] | None = None,
        sort: Callable[[Iterable[Hop]], list[Hop]] | None = None,
    ) -> None:
        self._dns = dns
        self._rng = rng
        self._now = now or asyncio.get_running_loop().time
        self._sort = sort or usable_first
        self._cache = DnsCache()

    async def locate(
        self, domain: str, *, transport: str | None = None, port: int | None = None, secure: bool = False
    ) -> list[Hop]:
        """Return the hops of a domain, the preferred one first, at least one. Raises :class:`LocateError`."""
        failures: list[DnsError] = []
        steps = locate(domain, rng=self._rng, transport=transport, port=port, secure=secure)
        hops = await self._run(steps, failures)
        if hops:
            return self._sort(hops)
        if failures:
            raise LocateError(f"the address of {domain} cannot be found now: {failures[-1]}")
        raise LocateError(f"DNS has no address for {domain}")

    async def _run(self, steps: Steps, failures: list[DnsError]) -> list[Hop]:
        try:
            questions = next(steps)
            while True:
                questions = steps.send(await self._answers(questions, failures))
        except StopIteration as done:
            hops: list[Hop] = done.value
            return hops

    async def _answers(self, questions: tuple[Question, ...], failures: list[DnsError]) -> Answers:
        answers = await asyncio.gather(*(self._answer(question, failures) for question in questions))
        return dict(zip(questions, answers, strict=True))

    async def _answer(self, question: Question, failures: list[DnsError]) -> tuple[Record, ...]:
        known = self._cache.get(question, self._now())
        if known is not None:
            return known
        try:
            answer = await self._dns.ask(question)
        except DnsError as error:
            failures.append(error)
            return self._cache.stale(question, self._now()) or ()
        self._cache.put(question, answer, self._now())
        return answer.records


def usable_first(hops: Iterable[Hop]) -> list[Hop]:
    """Return hops with those last to which there is no route from here, such as IPv6 on most machines (RFC 6724)."""
    found = list(hops)
    return found if len(found) == 1 else sorted(found, key=lambda hop: not _has_route(hop.host))


def _has_route(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Sends nothing: the kernel looks for a route and a source address.
            probe.connect((host, 9))
    except OSError:
        return False
    return True
