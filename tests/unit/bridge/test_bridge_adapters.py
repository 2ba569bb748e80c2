"""The bridge's ports on a bus: what is sent arrives, again if need be, and what is read is what stands there."""

from __future__ import annotations

import asyncio

import pytest
from dialog_bridge import bootstrap, switchboard
from dialog_bridge.adapters import outbox as outbox_module
from dialog_bridge.adapters.outbox import RELAY_ATTEMPTS, BusOutbox
from dialog_bridge.adapters.views import MappingsView, RegistrarsView
from dialog_runtime.bus import BusOverloadedError, BusTimeoutError, PermanentError, Publisher, Record
from dialog_runtime.bus.message import Message
from dialog_runtime.clock import ManualClock
from dialog_runtime.config.settings import Settings
from dialog_runtime.health import Health
from dialog_runtime.metrics import Metrics
from dialog_runtime.service import Service
from dialog_runtime.supervise import Supervisor
from dialog_runtime.testing import MemoryBroker
from dialog_schemas.calls import CallState, Hangup, Start, Trying
from dialog_schemas.instances import CallHeld, ServiceName
from dialog_schemas.mappings import MappingRejected, PeerType
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.relay import Relay, RelayKind
from dialog_schemas.topics import CALL_COMMANDS, CALL_DIRECTORY, CALL_EVENTS, MAPPINGS, REGISTRATIONS
from fixtures.bridge import AOR, FakeMedia, mapping

TRYING = Trying(call_id="c", seq=3, state=CallState.TRYING, user_id=1)
WITHIN = 5.0


class Flaky:
    """A sender that fails as often as it is told to, in the future or at once."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.messages: list[Message] = []
        self.attempts = 0

    def submit(self, message: Message, within: float) -> asyncio.Future[None]:
        self.attempts += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, BusOverloadedError):
            raise failure
        if failure is not None:
            future.set_exception(failure)
        else:
            self.messages.append(message)
            future.set_result(None)
        return future


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "RETRY", 0.0)


async def test_an_event_is_sent_until_the_bus_has_it() -> None:
    sender = Flaky(BusTimeoutError("away"), BusOverloadedError("full"), BusTimeoutError("away"))
    await asyncio.wait_for(BusOutbox(Publisher(sender, "/bridge/1")).tell(TRYING, "trace"), WITHIN)
    (message,) = sender.messages
    headers = dict(message.headers)
    assert (message.topic, message.key) == (CALL_EVENTS.name, "c")
    assert (headers["ce_id"], headers["ce_traceparent"]) == (b"c/3", b"trace")


async def test_an_invite_is_sent_once() -> None:
    sender = Flaky(BusTimeoutError("away"))
    relay = Relay(RelayKind.REQUEST, "t", AOR, b"INVITE sip:x SIP/2.0\r\n\r\n", "c", "bridge-1")
    await asyncio.wait_for(BusOutbox(Publisher(sender, "/bridge/1")).relay("registrar-1", relay), WITHIN)
    assert (sender.attempts, sender.messages) == (1, [])


async def test_a_bye_is_given_up_in_the_end() -> None:
    sender = Flaky(*[BusTimeoutError("away")] * 50)
    relay = Relay(RelayKind.REQUEST, "t", AOR, b"BYE sip:x SIP/2.0\r\n\r\n", "c", "bridge-1")
    await asyncio.wait_for(BusOutbox(Publisher(sender, "/bridge/1")).relay("registrar-1", relay), WITHIN)
    assert sender.attempts == RELAY_ATTEMPTS


async def test_what_the_broker_refuses_is_not_sent_again() -> None:
    sender = Flaky(PermanentError("too large"))
    await asyncio.wait_for(BusOutbox(Publisher(sender, "/bridge/1")).forget("c"), WITHIN)
    assert sender.attempts == 1


async def test_mappings_are_found_by_aor_and_by_user() -> None:
    broker = MemoryBroker()
    bus = broker.bus("bridge-1")
    view = MappingsView(bus)
    other = "500@pbx.example"
    await bus.publisher.publish(MAPPINGS, AOR, mapping())
    await bus.publisher.publish(MAPPINGS, other, mapping(other))
    await broker.settle()
    assert {row.aor for row in view.of_user(434)} == {AOR, other}
    await bus.publisher.publish(MAPPINGS, AOR, mapping(peer_id=7))
    await bus.publisher.publish(MAPPINGS, other, MappingRejected(aor=other, reason="broken", revision="2"))
    await broker.settle()
    assert (view.of_user(434), [row.aor for row in view.of_user(7)]) == ([], [AOR])
    assert view.by_aor(other) is None
    await bus.publisher.publish(MAPPINGS, AOR, mapping(peer_type=PeerType.GROUP, peer_id=7))
    await broker.settle()
    assert (view.of_user(7), view.by_aor(AOR) is not None) == ([], True)
    await bus.publisher.tombstone(MAPPINGS, AOR)
    await broker.settle()
    assert view.by_aor(AOR) is None


async def test_who_holds_a_flow() -> None:
    broker = MemoryBroker()
    bus = broker.bus("bridge-1")
    view = RegistrarsView(bus)
    assert view.holder_of(AOR) is None
    for state, holder in (
        (RegistrationState.REGISTERED, "registrar-1"),
        (RegistrationState.RETRYING, "registrar-1"),
        (RegistrationState.UNREGISTERED, "registrar-1"),
        (RegistrationState.REJECTED, None),
    ):
        status = RegistrationStatus(aor=AOR, state=state, owner="registrar-1")
        await bus.publisher.publish(REGISTRATIONS, AOR, status)
        await broker.settle()
        assert view.holder_of(AOR) == holder


@pytest.mark.parametrize(
    ("contact", "keeps"),
    [
        ("sip:434@192.0.2.1:40000", True),
        ("sip:434@192.0.2.1:40000;ob", True),
        ("sip:434@192.0.2.1:40000;transport=tcp", False),
        ("sip:434@abc.invalid;transport=ws", False),
        (None, False),
    ],
)
async def test_only_a_datagram_port_that_is_known_outlives_a_registrar(contact: str | None, keeps: bool) -> None:
    broker = MemoryBroker()
    bus = broker.bus("bridge-1")
    view = RegistrarsView(bus)
    status = RegistrationStatus(aor=AOR, state=RegistrationState.REGISTERED, owner="registrar-1", contact=contact)
    await bus.publisher.publish(REGISTRATIONS, AOR, status)
    await broker.settle()
    assert view.keeps_address(AOR) is keeps
    assert not view.keeps_address("435@pbx.example")


async def record_on(broker: MemoryBroker, topic: str) -> Record:
    """Wait for the next record of a topic."""
    arrived: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
    broker.listen(topic, lambda record: None if arrived.done() else arrived.set_result(record))
    return await asyncio.wait_for(arrived, WITHIN)


async def test_a_wired_bridge_places_a_call_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = MemoryBroker()
    supervisor, clock = Supervisor(), ManualClock()
    settings = Settings.model_validate({"modules": {"sip": {"extension": "im.dlg.sip.extension.SipExtension"}}})
    bus = broker.bus("bridge-1", clock)
    service = Service(
        ServiceName.BRIDGE,
        "bridge-1",
        settings,
        supervisor,
        bus,  # type: ignore[arg-type]
        Health(),
        Metrics(),
        clock,
    )
    media = FakeMedia()
    publisher = bus.publisher
    await publisher.publish(MAPPINGS, AOR, mapping())
    status = RegistrationStatus(aor=AOR, state=RegistrationState.REGISTERED, owner="registrar-1")
    await publisher.publish(REGISTRATIONS, AOR, status)
    desk = await bootstrap.wire(service, media)
    await publisher.publish(CALL_COMMANDS, "c", Start(call_id="c", user_id=434, to="100", sdp="offer"))
    invite = (await record_on(broker, "inbox.registrar-1")).relay()
    assert invite.sip.startswith(b"INVITE sip:100@pbx.example ")
    held = broker.last(CALL_DIRECTORY)["c"].envelope().event
    assert isinstance(held, CallHeld)
    assert (held.instance, held.state) == ("bridge-1", CallState.TRYING)
    assert service.load().load == 1
    assert b'dialog_sip_bridge_calls_started_total{direction="outgoing"} 1.0' in service.metrics.render()

    cancelled = asyncio.create_task(record_on(broker, "inbox.registrar-1"))
    await publisher.publish(CALL_COMMANDS, "c", Hangup(call_id="c"))
    assert (await cancelled).relay().kind is RelayKind.CANCEL
    monkeypatch.setattr(switchboard, "END_WITHIN", 0.05)
    await supervisor.stop(WITHIN)
    assert media.sessions[0].closed == 1
    assert broker.last(CALL_EVENTS)["c"].envelope().event.NAME == "call-ended"
    assert len(desk.switchboard) == 1, "its CANCEL is not answered: another bridge finds it in the directory"
