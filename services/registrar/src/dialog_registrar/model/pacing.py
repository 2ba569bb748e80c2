"""Who may send a REGISTER now: windows in flight, per server and overall.

Theory of operation. Whoever wants to send *asks* and is queued at its server, the most urgent first.
:meth:`Pacer.take` lets go what fits into two windows: that of the server and that of the whole process (a burst of
answers overflows the socket's own receive buffer long before it troubles a PBX). :meth:`Pacer.done` gives the place
back and says how it went.

A server is *silent* when a request is overdue and nothing at all was heard since it was sent, or when the network
refused it. A silent server keeps nobody else's place (what is overdue does not count overall) and gets one request
each :data:`PROBE_EVERY` seconds, whoever has most to lose. The first answer ends the silence, and the window opens by
one with each answer, which doubles it each round trip. What is overdue at a silent server is *stuck*: it is not sent
again, though its answer would still be taken, and when the silence ends it is tried anew. One of each server goes on
being sent, for there may be no other to ask with. So an outage costs a handful of REGISTERs however many mappings the
server has, and its end brings no herd: for a while those that wait are let go over as long as it takes to bind so many
anew (:func:`~dialog_sip.registration.timing.repair_period`), however fast the server answers. 503 with Retry-After
closes a server for that long (RFC 3261 section 21.5.4).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from dialog_sip.registration.timing import repair_period

from dialog_registrar.model.timers import Timers

WINDOW = 128
"""Requests in flight, overall and at most per server."""
SLOW_START = 4
"""The window of a server that was silent."""
OVERDUE = 2.0
"""Seconds without an answer after which a request no longer counts as in flight (four times T1)."""
PROBE_EVERY = 4.0
"""Seconds between requests to a silent server (T2: what retransmissions come down to)."""
RECOVERY = 30.0
"""Seconds after a silence in which those that wait are let go one by one."""
_AT_ONCE = 0.1
"""Seconds of that rate that may go together: who lets them go looks now and then."""

S = TypeVar("S", bound=Hashable)
K = TypeVar("K", bound=Hashable)
_ALWAYS = float("-inf")


class Outcome(Enum):
    """How a request ended, as far as the server is concerned."""

    ANSWERED = auto()
    """Any final response."""
    SILENT = auto()
    """None within Timer F, or the network refused it."""
    WITHDRAWN = auto()
    """It was never sent, or no longer matters; says nothing about the server."""


@dataclass(slots=True)
class _Server(Generic[S, K]):
    name: S
    window: int
    waiting: list[tuple[float, int, K]] = field(default_factory=list)
    in_flight: int = 0
    """Those that are not overdue."""
    heard_at: float = _ALWAYS
    silent_since: float | None = None
    opens_at: float = _ALWAYS
    recovered_at: float = _ALWAYS
    herd: int = 0
    """The most that waited at a time since then."""
    next_at: float = _ALWAYS
    """When the next of them may go."""
    goes_on: _Flight[S, K] | None = None
    """What is overdue and still sent again."""


@dataclass(slots=True)
class _Flight(Generic[S, K]):
    key: K
    server: _Server[S, K]
    sent: float
    answered: bool = False
    overdue: bool = False


class Pacer(Generic[S, K]):
    """Paces the requests of keys ``K`` to servers ``S``. Times are seconds of the caller's clock."""

    __slots__ = (
        "_flights", "_flying", "_in_flight", "_opening", "_per_server", "_ready", "_serial", "_servers", "_stuck",
        "_waiting", "_window",
    )  # fmt: skip

    def __init__(self, window: int = WINDOW, per_server: int = WINDOW) -> None:
        self._window = window
        self._per_server = per_server
        self._servers: dict[S, _Server[S, K]] = {}
        self._waiting: dict[K, tuple[float, int, K]] = {}
        self._flying: dict[K, _Flight[S, K]] = {}
        self._flights: deque[_Flight[S, K]] = deque()
        self._ready: dict[S, None] = {}
        self._opening: Timers[S] = Timers()
        self._stuck: list[K] = []
        self._in_flight = 0
        self._serial = 0

    @property
    def in_flight(self) -> int:
        """Requests that were sent and are not answered, the overdue ones included."""
        return len(self._flying)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    def silent_since(self, server: S) -> float | None:
        """Return since when nothing was heard of a server that should have answered, or None."""
        found = self._servers.get(server)
        return None if found is None else found.silent_since

    def ask(self, server: S, key: K, deadline: float) -> None:
        """Queue ``key``; the lower ``deadline`` goes first. Asking again replaces the first asking."""
        self._serial += 1
        item = self._waiting[key] = deadline, self._serial, key
        heapq.heappush(self._server(server).waiting, item)
        self._ready[server] = None

    def withdraw(self, key: K) -> None:
        """Let ``key`` no longer wait."""
        self._waiting.pop(key, None)

    def close(self, server: S, until: float) -> None:
        """Send nothing to a server before ``until``."""
        found = self._server(server)
        found.opens_at = max(found.opens_at, until)

    def reopen(self, server: S, now: float) -> None:
        """End a silence for a reason of its own, such as a new connection; the window still opens slowly."""
        found = self._servers.get(server)
        if found is not None and found.silent_since is not None:
            self._recover(found, now)
            self._opening.cancel(server)
            if found.waiting:
                self._ready[server] = None

    def forget(self, server: S) -> None:
        """Drop what is known of a server that has no mappings any more."""
        self._ready.pop(server, None)
        self._opening.cancel(server)
        self._servers.pop(server, None)

    def take(self, now: float) -> Iterator[K]:
        """Yield the keys that may send now; each holds a place until :meth:`done`."""
        self._notice_overdue(now)
        while (server := self._opening.pop(now)) is not None:
            self._ready[server] = None
        for name in list(self._ready):
            if self._in_flight >= self._window:
                return
            # Who is served goes to the end of the line.
            self._ready[name] = self._ready.pop(name)
            yield from self._take_from(self._servers[name], now)

    def done(self, key: K, outcome: Outcome, now: float) -> bool:
        """Give the place of ``key`` back. True where this answer ends a silence of the server."""
        flight = self._flying.pop(key, None)
        if flight is None:
            return False
        flight.answered = True
        self._release(flight)
        if flight.server.waiting:
            self._ready[flight.server.name] = None
        return self._heard(flight.server, outcome, now)

    def take_stuck(self) -> list[K]:
        """Return, each once, the requests that are overdue at a server that is silent, but one of each."""
        stuck, self._stuck = self._stuck, []
        return stuck

    def stuck(self, server: S) -> list[K]:
        """Return the requests to ``server`` that are overdue."""
        return [key for key, flight in self._flying.items() if flight.overdue and flight.server.name == server]

    def next(self) -> float | None:
        """Return when :meth:`take` should be called although nothing happens, or None."""
        while self._flights and self._flights[0].answered:
            self._flights.popleft()
        opening = self._opening.next()
        if not self._flights:
            return opening
        overdue = self._flights[0].sent + OVERDUE
        return overdue if opening is None else min(overdue, opening)

    def _server(self, name: S) -> _Server[S, K]:
        found = self._servers.get(name)
        if found is None:
            found = self._servers[name] = _Server(name, self._per_server)
        return found

    def _take_from(self, server: _Server[S, K], now: float) -> Iterator[K]:
        """Let go what fits. A server stays *ready* while it may let more go than there was a place or a taker for."""
        while self._live(server):
            opens_at = max(server.opens_at, server.next_at)
            if now < opens_at:
                self._opening.set(server.name, opens_at)
                break
            if server.silent_since is None and server.in_flight >= server.window:
                break
            if self._in_flight >= self._window:
                return
            yield self._let_go(server, now)
        self._ready.pop(server.name, None)

    def _live(self, server: _Server[S, K]) -> bool:
        """Drop what was withdrawn from the top of the queue; true where somebody waits."""
        while server.waiting and self._waiting.get(server.waiting[0][2]) is not server.waiting[0]:
            heapq.heappop(server.waiting)
        return bool(server.waiting)

    def _let_go(self, server: _Server[S, K], now: float) -> K:
        key = heapq.heappop(server.waiting)[2]
        del self._waiting[key]
        flight = self._flying[key] = _Flight(key, server, now)
        self._flights.append(flight)
        self._in_flight += 1
        server.in_flight += 1
        if server.silent_since is not None:
            server.opens_at = now + PROBE_EVERY
        elif now - server.recovered_at < RECOVERY:
            server.herd = max(server.herd, len(server.waiting) + 1)
            server.next_at = max(server.next_at, now - _AT_ONCE) + repair_period(server.herd) / server.herd
        return key

    def _recover(self, server: _Server[S, K], now: float) -> None:
        server.silent_since, server.opens_at = None, _ALWAYS
        server.recovered_at, server.herd, server.next_at = now, 0, _ALWAYS

    def _notice_overdue(self, now: float) -> None:
        while self._flights and (self._flights[0].answered or self._flights[0].sent + OVERDUE <= now):
            flight = self._flights.popleft()
            if flight.answered:
                continue
            self._release(flight)
            flight.overdue = True
            self._ready[flight.server.name] = None
            if flight.server.heard_at < flight.sent:
                self._fall_silent(flight.server, flight.sent, now)
            if flight.server.silent_since is not None:
                self._stick(flight)

    def _stick(self, flight: _Flight[S, K]) -> None:
        server = flight.server
        if server.goes_on is None or self._flying.get(server.goes_on.key) is not server.goes_on:
            server.goes_on = flight
        else:
            self._stuck.append(flight.key)

    def _release(self, flight: _Flight[S, K]) -> None:
        if not flight.overdue:
            self._in_flight -= 1
            flight.server.in_flight -= 1

    def _fall_silent(self, server: _Server[S, K], since: float, now: float) -> None:
        server.window = min(SLOW_START, self._per_server)
        if server.silent_since is None:
            server.silent_since = since
            server.opens_at = max(server.opens_at, now + PROBE_EVERY)

    def _heard(self, server: _Server[S, K], outcome: Outcome, now: float) -> bool:
        if outcome is Outcome.SILENT:
            self._fall_silent(server, now, now)
        if outcome is not Outcome.ANSWERED:
            return False
        ended = server.silent_since is not None
        if ended:
            self._recover(server, now)
        server.heard_at = now
        server.window = min(server.window + 1, self._per_server)
        return ended
