"""The parts round the engine: reading passwords, publishing statuses, leases, and the handlers of what comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import pytest
import structlog
from dialog_registrar import handlers
from dialog_registrar.adapters.kafka import MappingsOwner, relay_of
from dialog_registrar.census import Census
from dialog_registrar.handlers import Registrar
from dialog_registrar.meters import Meters
from dialog_registrar.model import words
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.leases import DOUBT_FOR, Leases
from dialog_registrar.model.mapping import Mapping, Server, mapping_of
from dialog_registrar.model.pacing import Pacer
from dialog_registrar.model.status import Moment
from dialog_registrar.passwords import PasswordReader
from dialog_registrar.ports import PasswordsAwayError, Removed
from dialog_registrar.statuses import StatusPublisher
from dialog_runtime.bus.errors import BusError, PermanentError
from dialog_runtime.bus.message import Message, event_message
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.bus.record import Record
from dialog_runtime.clock import ManualClock
from dialog_runtime.metrics import Metrics
from dialog_schemas.cloudevents import MalformedEventError, decode
from dialog_schemas.event import Event
from dialog_schemas.mappings import MappingRejected, MappingUpserted, PeerType, Transport
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.relay import MalformedRelayError, Relay, RelayKind
from dialog_schemas.topics import MAPPINGS, REGISTRATIONS, Topic
from dialog_sip import Response
from dialog_sip.registration import RegistrationSettings
from fixtures.registrar_edge import PBX, Account, ReceivedRequest, World, sip_request
from pydantic import SecretStr


class Pushes:
    def __init__(self) -> None:
        self.count = 0

    def push(self) -> None:
        self.count += 1


def new_engine(clock: ManualClock) -> Engine:
    return Engine(
        RegistrationSettings(), Pacer[Server, Entry](), lambda: Moment(clock.monotonic(), clock.utcnow()),
        instance="r1", new_call_id=lambda: "call-id", rng=Random(1),
    )  # fmt: skip


def upserted(user: str = "alice", *, revision: str = "1", register: bool = True) -> MappingUpserted:
    return MappingUpserted(
        aor=f"{user}@pbx.example", sip_user=user, sip_host="pbx.example", sip_port=5060, transport=Transport.UDP,
        peer_type=PeerType.USER, peer_id=1, registers=register, can_call=True, can_be_called=True, revision=revision,
    )  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registrar(world: World, clock: ManualClock) -> Registrar:
    return Registrar(new_engine(clock), world.edge, world.outgoing, world.incoming, Pushes())


# Passwords.


@dataclass
class Table:
    rows: dict[str, str] = field(default_factory=lambda: {"alice@pbx.example": "secret"})
    gone: dict[str, Removed] = field(default_factory=dict)
    away: int = 0
    asked: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, mappings: Sequence[Mapping]) -> dict[str, SecretStr]:
        self.asked += 1
        if self.away:
            self.away -= 1
            raise PasswordsAwayError("OSError")
        self.answered.set()
        return {m.aor: SecretStr(self.rows[m.aor]) for m in mappings if m.aor in self.rows}

    async def removed(self, aors: Sequence[str]) -> dict[str, Removed]:
        return {aor: self.gone[aor] for aor in aors if aor in self.gone}

    async def forget(self, aors: Sequence[str]) -> None:
        for aor in aors:
            self.gone.pop(aor, None)
        self.answered.set()


@asynccontextmanager
async def reading(engine: Engine, table: Table) -> AsyncIterator[PasswordReader]:
    reader = PasswordReader(engine, table, Pushes(), Meters(Metrics()), Random(1))
    task = asyncio.create_task(reader.run())
    reader.look()
    try:
        yield reader
    finally:
        reader.stop()
        await asyncio.wait_for(task, 5)


async def test_passwords_are_read_in_bulk_and_again_while_the_table_is_away(registrar: Registrar) -> None:
    engine, table = registrar.engine, Table(away=2)
    handlers.mapping_upserted(registrar, upserted(), 0)
    handlers.mapping_upserted(registrar, upserted("unknown"), 0)
    async with reading(engine, table) as reader:
        await asyncio.wait_for(table.answered.wait(), 5)
        await asyncio.sleep(0)
        assert reader.away == ""
    assert table.asked == 3
    assert engine.unread == {}
    alice, unknown = engine.holdings.get("alice@pbx.example"), engine.holdings.get("unknown@pbx.example")
    assert alice is not None
    assert unknown is not None
    assert alice.password == SecretStr("secret")
    assert unknown.holdup == words.NO_ROW


# Statuses.


@dataclass
class Transactions:
    """The partitions as far as a publisher sees them."""

    committed: list[tuple[int, list[Message]]] = field(default_factory=list)
    open: list[asyncio.Future[bool]] = field(default_factory=list)
    partitions: frozenset[int] = frozenset({0, 1})
    taking: bool = False

    def commit(self, partition: int, messages: Sequence[Message], offset: int | None = None) -> asyncio.Future[bool]:
        self.committed.append((partition, list(messages)))
        self.open.append(asyncio.get_running_loop().create_future())
        return self.open[-1]

    def may_act(self, partition: int) -> bool:
        return True

    async def ready(self) -> None:
        return

    def stop(self) -> None:
        return


class NoSender:
    def submit(self, message: Message, within: float) -> asyncio.Future[None]:
        raise BusError


def publisher_of(engine: Engine) -> tuple[StatusPublisher, Transactions]:
    statuses = StatusPublisher(engine, Publisher(NoSender(), "/registrar/r1"))
    transactions = Transactions()
    statuses.through(transactions)
    return statuses, transactions


def states(messages: list[Message]) -> list[RegistrationState | None]:
    found: list[RegistrationState | None] = []
    for message in messages:
        event = None if message.value is None else decode(message.value, message.headers).event
        found.append(event.state if isinstance(event, RegistrationStatus) else None)
    return found


async def test_changes_fall_together_while_a_transaction_is_under_way(registrar: Registrar) -> None:
    statuses, transactions = publisher_of(registrar.engine)
    handlers.mapping_upserted(registrar, upserted(register=False), 0)
    handlers.mapping_upserted(registrar, upserted("bob", register=False), 1)
    statuses.publish()
    assert sorted(partition for partition, _ in transactions.committed) == [0, 1]
    for number in range(5):
        handlers.mapping_upserted(registrar, upserted(revision=str(number + 2), register=False), 0)
        statuses.publish()
    assert len(transactions.committed) == 2
    transactions.open[0].set_result(True)
    await asyncio.sleep(0)
    statuses.publish()
    partition, messages = transactions.committed[-1]
    assert (partition, len(messages)) == (0, 1)
    assert '"mapping_revision":"6"' in (messages[0].value or b"").decode()


async def test_what_is_not_new_is_not_published_again(registrar: Registrar) -> None:
    statuses, transactions = publisher_of(registrar.engine)
    handlers.mapping_rejected(registrar, MappingRejected(aor="a@b", reason="no", revision="1"), 0)
    statuses.publish()
    assert states(transactions.committed[0][1]) == [RegistrationState.REJECTED]
    transactions.open[0].set_result(True)
    await asyncio.sleep(0)
    handlers.mapping_rejected(registrar, MappingRejected(aor="a@b", reason="no", revision="1"), 0)
    statuses.publish()
    assert len(transactions.committed) == 1
    handlers.mapping_deleted(registrar, "a@b", 0)
    statuses.publish()
    assert states(transactions.committed[-1][1]) == [None]


async def test_nothing_is_told_of_a_mapping_after_its_tombstone(registrar: Registrar) -> None:
    statuses, transactions = publisher_of(registrar.engine)
    news, aor = registrar.engine.news, "alice@pbx.example"
    handlers.mapping_upserted(registrar, upserted(register=False), 0)
    entry = registrar.engine.holdings.get(aor)
    assert entry is not None
    news.tell_some_time(entry)
    handlers.mapping_deleted(registrar, aor, 0)
    statuses.publish()
    assert states(transactions.committed[-1][1]) == [None]
    assert not any([*news.changed.values(), *news.unhurried.values()])


async def test_a_row_that_comes_back_at_once_is_told_of_after_its_tombstone(registrar: Registrar) -> None:
    statuses, transactions = publisher_of(registrar.engine)
    handlers.mapping_upserted(registrar, upserted(register=False), 0)
    handlers.mapping_deleted(registrar, "alice@pbx.example", 0)
    handlers.mapping_upserted(registrar, upserted(revision="2"), 0)
    statuses.publish()
    assert states(transactions.committed[-1][1]) == [None, RegistrationState.REGISTERING]


async def test_a_partition_that_may_be_let_go_hands_its_last_statuses_over(registrar: Registrar) -> None:
    statuses, transactions = publisher_of(registrar.engine)
    leases = Leases(lambda _: True, lambda: False, lambda: 0.0)
    owner = MappingsOwner(registrar, leases, statuses.let_go)
    for number in range(1200):
        handlers.mapping_upserted(registrar, upserted(f"u{number}", register=False), 0)
    owner.paused(0)
    assert sum(len(messages) for _, messages in transactions.committed) == 1200
    await owner.revoked(0)
    assert len(registrar.engine.holdings) == 0


# Records.


def record(topic: Topic, key: str | None, event: Event | None) -> Record:
    if event is None:
        return Record(topic.name, 0, 0, key, None)
    at = ManualClock().utcnow()
    message = event_message(topic, key or "", event, source="/test", at=at)
    return Record(topic.name, 0, 0, key, message.value, message.headers, int(at.timestamp() * 1000))


@pytest.fixture
def owner(registrar: Registrar) -> MappingsOwner:
    return MappingsOwner(registrar, Leases(lambda _: True, lambda: False, lambda: 0.0), lambda _: None)


async def test_who_waits_for_a_mapping_is_looked_at_when_a_partition_is_here(
    owner: MappingsOwner, registrar: Registrar
) -> None:
    pushes = registrar.pump
    assert isinstance(pushes, Pushes)
    await owner.assigned(0, [], [])
    assert pushes.count == 1


async def test_a_partition_is_taken_over_with_what_changed_meanwhile(
    owner: MappingsOwner, registrar: Registrar, clock: ManualClock
) -> None:
    old = RegistrationStatus(
        aor="alice@pbx.example", state=RegistrationState.REGISTERED, owner="r1", call_id="kept", cseq=9,
        contact="sip:alice@127.0.0.1:4444", granted_expires=60, registered_at=clock.utcnow(),
        expires_at=clock.utcnow(),
    )  # fmt: skip
    gone = old.model_copy(update={"aor": "gone@pbx.example"})
    state = [record(REGISTRATIONS, old.aor, old), record(REGISTRATIONS, gone.aor, gone)]
    state.append(Record(REGISTRATIONS.name, 0, 3, "broken", b"{", ()))
    inputs = [record(MAPPINGS, old.aor, upserted()), Record(MAPPINGS.name, 0, 1, "x", b"{", ())]
    await owner.assigned(0, state, inputs)
    alice = registrar.engine.holdings.get("alice@pbx.example")
    assert alice is not None
    assert alice.predecessor == old
    assert registrar.engine.flows.wanted == {PBX: 4444}
    changed = registrar.engine.news.changed[0]
    assert (changed["gone@pbx.example"], changed["broken"]) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "cseq"),
    [(0.0, 9), (1.0, 25), (2.5, 49), (-5.0, 9), (1e9, 9 + 86_400 * 16)],
)
async def test_each_owner_begins_above_those_that_told_nothing(
    owner: MappingsOwner, registrar: Registrar, clock: ManualClock, seconds: float, cseq: int
) -> None:
    old = RegistrationStatus(
        aor="alice@pbx.example", state=RegistrationState.RETRYING, owner="r1", call_id="kept", cseq=9
    )
    told = record(REGISTRATIONS, old.aor, old)
    at = clock.utcnow().timestamp() - seconds
    await owner.assigned(0, [told._replace(timestamp=int(at * 1000))], [record(MAPPINGS, old.aor, upserted())])
    alice = registrar.engine.holdings.get("alice@pbx.example")
    assert alice is not None
    assert alice.predecessor is not None
    assert alice.predecessor.cseq == cseq


@pytest.mark.parametrize("kept", [True, False])
async def test_a_row_that_was_removed_while_no_registrar_lived_is_asked_for(
    owner: MappingsOwner, registrar: Registrar, clock: ManualClock, kept: bool
) -> None:
    left = RegistrationStatus(
        aor="gone@pbx.example", state=RegistrationState.REGISTERED, owner="r1", call_id="kept", cseq=9,
        contact="sip:gone@127.0.0.1:4444", granted_expires=60, registered_at=clock.utcnow(),
        expires_at=clock.utcnow() + timedelta(seconds=60),
    )  # fmt: skip
    await owner.assigned(0, [record(REGISTRATIONS, left.aor, left)], [])
    entry = registrar.engine.holdings.get(left.aor)
    assert entry is not None
    table = Table(gone={left.aor: Removed(mapping_of(upserted("gone")), SecretStr("old"))} if kept else {})
    with structlog.testing.capture_logs() as lines:
        async with reading(registrar.engine, table) as reader, asyncio.timeout(5):
            while registrar.engine.leaving.unread:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
            clock.advance(61)
            registrar.engine.wake()
            reader.look()
            await table.answered.wait()
    assert bool(entry.holdup) is not kept
    assert any("a row is gone" in line["event"] for line in lines) is not kept
    assert registrar.engine.news.changed == {0: {left.aor: None}}
    assert not registrar.engine.leaving.forgotten
    assert not table.gone


async def test_changes_are_taken_one_by_one(owner: MappingsOwner, registrar: Registrar) -> None:
    await owner.changed(0, record(MAPPINGS, "alice@pbx.example", upserted(register=False)))
    assert registrar.engine.account("alice@pbx.example") is not None
    await owner.changed(0, record(MAPPINGS, "alice@pbx.example", None))
    assert registrar.engine.account("alice@pbx.example") is None


@pytest.mark.parametrize(
    "bad",
    [
        Record("sip.mappings", 0, 0, None, b"{}", ()),
        Record("sip.mappings", 0, 0, "a@b", b"{}", ()),
        record(MAPPINGS, "somebody@else", upserted()),
    ],
)
async def test_a_bad_record_hurts_only_itself(owner: MappingsOwner, bad: Record) -> None:
    with pytest.raises(MalformedEventError):
        await owner.changed(0, bad)


BROKEN = [sip_request("INVITE").encode().replace(*words) for words in ((b"To: ", b'To: "'), (b"CSeq: ", b"CSeq: x"))]


@pytest.mark.parametrize("sip", [b"", b"junk", sip_request("INVITE").respond(200).encode(), *BROKEN])
def test_a_relayed_message_that_is_no_request_is_a_dead_letter(registrar: Registrar, sip: bytes) -> None:
    relay = Relay(RelayKind.REQUEST, "t", "alice@pbx.example", sip, sender="b")
    with pytest.raises(MalformedRelayError):
        relay_of(registrar, Record("inbox.r1", 0, 0, None, relay.sip, relay.headers()))
    with pytest.raises(MalformedRelayError):
        relay_of(registrar, Record("inbox.r1", 0, 0, None, b"", replace_kind(relay, RelayKind.ACK_TIMEOUT)))
    with pytest.raises(PermanentError):
        relay_of(registrar, Record("inbox.r1", 0, 0, None, b"{}", ()))


def replace_kind(relay: Relay, kind: RelayKind) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, kind.value.encode() if name == "sip_kind" else value) for name, value in relay.headers())


# What the PBX sends.


def test_a_user_is_found_by_the_contact_or_else_by_to(registrar: Registrar, world: World) -> None:
    for uri in ("sip:alice@127.0.0.1:5099", "sip:%61lice@127.0.0.1:5099"):
        handlers.sip_request_received(registrar, PBX, ReceivedRequest(sip_request("INVITE", uri=uri)))
    by_to = sip_request("INVITE", uri="sip:alice@pbx.example")
    by_to.uri = "sip:line1@127.0.0.1:5099"
    handlers.sip_request_received(registrar, PBX, ReceivedRequest(by_to))
    assert [relay.aor for _, relay in world.bridges.requests] == ["alice@pbx.example"] * 3
    stranger = ReceivedRequest(sip_request("INVITE", uri="sip:mallory@127.0.0.1:5099"))
    handlers.sip_request_received(registrar, PBX, stranger)
    assert stranger.codes == [404]


@pytest.mark.parametrize(("by_to", "aor"), [(False, "bob@pbx.example"), (True, "alice@pbx.example")])
def test_where_contacts_are_ignored_to_says_whom_a_request_is_for(
    registrar: Registrar, world: World, by_to: bool, aor: str
) -> None:
    world.accounts.known.append(Account("bob"))
    world.edge.by_to = by_to
    forwarded = sip_request("INVITE", uri="sip:alice@pbx.example")
    forwarded.uri = "sip:bob@127.0.0.1:5099"
    handlers.sip_request_received(registrar, PBX, ReceivedRequest(forwarded))
    assert [relay.aor for _, relay in world.bridges.requests] == [aor]


def success(call_id: str = "c1") -> Response:
    return sip_request("INVITE", call_id=call_id).respond(200, to_tag="b")


def test_a_success_whose_invite_an_earlier_process_sent_goes_to_the_bridge(registrar: Registrar, world: World) -> None:
    world.routes.learn("c1", "bridge-1", world.edge.now())
    handlers.sip_success_received(registrar, PBX, success())
    handlers.sip_success_received(registrar, PBX, success("c2"))
    (to, relay), (key, of_nobody) = *world.bridges.inbox, *world.bridges.requests
    assert (to, relay.kind, relay.aor, relay.transaction) == (
        "bridge-1", RelayKind.RESPONSE, "alice@pbx.example", "c1.1",
    )  # fmt: skip
    assert (key, of_nobody.transaction) == ("c2", "c2.1")


def test_a_success_for_nobody_is_dropped(registrar: Registrar, world: World) -> None:
    world.accounts.known.clear()
    handlers.sip_success_received(registrar, PBX, success())
    odd = success()
    odd.headers.set("From", "<")
    handlers.sip_success_received(registrar, PBX, odd)
    assert world.bridges.inbox == world.bridges.requests == []


def test_a_request_that_cannot_be_read_is_answered(registrar: Registrar) -> None:
    odd = ReceivedRequest(sip_request("INVITE", uri="sip:alice@pbx.example"))
    odd.request.uri = "fax:123"
    handlers.sip_request_received(registrar, PBX, odd)
    assert odd.codes == [416]


def test_a_request_in_a_sip_dialog_that_nobody_knows_is_481(registrar: Registrar) -> None:
    bye = ReceivedRequest(sip_request("BYE", uri="sip:alice@127.0.0.1:5099", to_tag="x"))
    handlers.sip_request_received(registrar, PBX, bye)
    assert bye.codes == [481]


# Leases and the census.


def test_a_partition_in_doubt_sends_only_when_kafka_is_away_for_long() -> None:
    now, confirmed, away = [0.0], [True], [False]
    leases = Leases(lambda _: confirmed[0], lambda: away[0], lambda: now[0])
    assert leases.may_send(0)
    confirmed[0] = False
    assert not leases.may_send(0)
    leases.doubt(0)
    away[0] = True
    assert not leases.may_send(0)
    now[0] = DOUBT_FOR
    assert leases.may_send(0)
    away[0] = False
    assert not leases.may_send(0)
    leases.confirm(0)
    away[0] = True
    assert not leases.may_send(0)


def test_the_census_counts_states(registrar: Registrar, clock: ManualClock) -> None:
    handlers.mapping_upserted(registrar, upserted(register=False), 0)
    handlers.mapping_upserted(registrar, upserted("bob"), 0)
    census = Census(registrar.engine, clock)
    assert census.count(RegistrationState.UNREGISTERED) == 1
    handlers.mapping_deleted(registrar, "alice@pbx.example", 0)
    assert census.count(RegistrationState.UNREGISTERED) == 1
    clock.advance(2)
    assert census.count(RegistrationState.UNREGISTERED) == 0
    assert census.count(RegistrationState.REGISTERING) == 1
