"""A registrar is stopped for longer than its session lasts, and wakes up: what it lost is the other one's."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
from dialog_sandbox.simulator import Faults, wire
from dialog_sandbox.simulator.registrar import Registrar, Source
from dialog_sandbox.simulator.server import Server
from fixtures.kamailio import PASSWORD
from fixtures.registrar_stage import Stage

pytestmark = pytest.mark.needs("kafka", "postgres")

GRANTED = 8
SETTLED = [f"u{number}" for number in range(8)]
IN_FLIGHT = [f"late{number}" for number in range(8)]
USERS = [*SETTLED, *IN_FLIGHT]


class Sent(NamedTuple):
    """One REGISTER as it arrived."""

    user: str
    port: int
    """Where it came from: each registrar has one."""
    call_id: bytes
    cseq: int
    via: bytes


class Pbx(Registrar):
    """The simulated PBX, which keeps all that it was sent, answered or not."""

    def __init__(self) -> None:
        super().__init__(PASSWORD.encode(), expires=GRANTED)
        self.sent: list[Sent] = []
        self.news = asyncio.Event()

    def receive(self, data: bytes, source: Source, now: float) -> bytes | None:
        register = wire.read(data)
        if register is not None:
            self.sent.append(Sent(register.user.decode(), source[1], register.call_id, register.cseq, register.via))
        answer = super().receive(data, source, now)
        self.news.set()
        return answer

    def has_heard(self, users: list[str], since: int = 0) -> bool:
        return set(users) <= {sent.user for sent in self.sent[since:]}

    def are_bound(self, users: list[str], port: int | None = None) -> bool:
        """Tell whether all are bound; with ``port``, by others than the registrar there."""
        known = [self.users.get(user.encode()) for user in users]
        return all(it and it.expires_at and not it.contact.endswith(b":%d" % (port or 0)) for it in known)

    async def until(self, holds: Callable[[], bool], within: float = 30.0) -> None:
        async with asyncio.timeout(within):
            while not holds():
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def pbx() -> AsyncIterator[tuple[Pbx, int]]:
    made = Pbx()
    async with Server(made) as server:
        yield made, server.port


async def test_a_sleeper_sends_nothing_for_what_it_lost(stage: Stage, pbx: tuple[Pbx, int]) -> None:
    registrar, port = pbx
    sleeper = await stage.start("r1")
    aors = {user: await stage.row(user, port) for user in SETTLED}
    await registrar.until(lambda: registrar.are_bound(SETTLED))
    (lost_port,) = {sent.port for sent in registrar.sent}
    registrar.faults = Faults(away=True)
    aors |= {user: await stage.row(user, port) for user in IN_FLIGHT}
    await registrar.until(lambda: registrar.has_heard(IN_FLIGHT))
    sleeper.process.send_signal(signal.SIGSTOP)
    registrar.faults = Faults()
    await stage.start("r2")
    await registrar.until(lambda: registrar.are_bound(USERS, lost_port))

    woke_at, told = len(registrar.sent), len(stage.history)
    sleeper.process.send_signal(signal.SIGCONT)
    await stage.until(lambda: {status.owner for status in stage.statuses.values()} == {"r1", "r2"}, within=30)
    shared_at = len(registrar.sent)
    # The limit of REGISTERs may hold back who moved twice within 20 s.
    await registrar.until(lambda: registrar.has_heard(USERS, shared_at), within=60)
    regained = {status.aor for status in stage.history[told:] if status.owner == "r1"}
    assert [
        sent for sent in registrar.sent[woke_at:] if sent.port == lost_port and aors[sent.user] not in regained
    ] == []
    assert went_back(registrar.sent) == []


def went_back(sent: list[Sent]) -> list[tuple[Sent, Sent]]:
    """Find REGISTERs whose CSeq is not above that of the one before, where they are no retransmissions."""
    of_call: dict[bytes, list[Sent]] = defaultdict(list)
    found = []
    for one in sent:
        before = of_call[one.call_id]
        if one in before:
            continue
        if before and one.cseq <= before[-1].cseq:
            found.append((before[-1], one))
        before.append(one)
    return found
