"""The dialog server and its clients, as far as the demo, the tests and the benchmarks need them."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TypeVar

from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View, event_of
from dialog_sandbox.webrtc import WebClient
from dialog_schemas.calls import (
    Accept,
    Answered,
    CallCommand,
    CallEvent,
    Ended,
    Hangup,
    IceFound,
    Incoming,
    Progress,
    Ringing,
    Start,
)
from dialog_schemas.mappings import PeerType
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.topics import CALL_COMMANDS, CALL_EVENTS, MAPPINGS, REGISTRATIONS, USERS
from dialog_schemas.users import UserCreated, UserDeleted

E = TypeVar("E", bound=CallEvent)

MOST_WAITING = 1000
"""Events that wait for whoever plays a call."""


class UnexpectedEndError(Exception):
    """The call ended while something else was awaited; the words say how."""


@dataclass
class Call:
    """One call as the dialog server sees it, with the client that makes or takes it."""

    call_id: str
    client: WebClient
    events: asyncio.Queue[CallEvent] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    _described: bool = False

    async def until(self, kind: type[E], *, within: float = 10.0) -> E:
        """Follow the call until an event of ``kind``. Raises :class:`UnexpectedEndError`, :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            while True:
                event = await self.events.get()
                await self._follow(event)
                if isinstance(event, kind):
                    return event
                if isinstance(event, Ended):
                    code = f", SIP {event.sip_code}" if event.sip_code else ""
                    raise UnexpectedEndError(f"the call ended: {event.reason}{code} {event.detail}".rstrip())

    async def _follow(self, event: CallEvent) -> None:
        """Give the client what is in the event for it."""
        if isinstance(event, Answered | Progress) and event.sdp and not self._described:
            self._described = True
            await self.client.accept(event.sdp)
        elif isinstance(event, IceFound):
            await self.client.add_candidate(event.candidate, event.sdp_mid, event.sdp_mline_index)


class Messenger:
    """Publishes users and call commands, and hands call events to the calls they belong to."""

    def __init__(self, bus: KafkaBus, *, loopback: bool = True) -> None:
        self._bus = bus
        self._loopback = loopback
        self._calls: dict[str, Call] = {}
        self._incoming: dict[int, asyncio.Queue[Incoming]] = {}
        self._changed = asyncio.Event()
        self._aors: dict[int, str] = {}
        self._statuses: View[RegistrationStatus] = bus.view(
            REGISTRATIONS, event_of(RegistrationStatus), lambda *_: self._changed.set()
        )
        self._events = bus.tail(CALL_EVENTS, self._call_event)
        bus.tail(MAPPINGS, self._mapping, from_end=False)

    async def ready(self, *, within: float = 10.0) -> None:
        """Wait until nothing of what comes is missed. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            await self._statuses.ready()
            await self._events.ready()

    async def create_user(self, user_id: int, name: str) -> None:
        """Say that there is a new user."""
        await self._bus.publisher.publish(USERS, str(user_id), UserCreated(user_id=user_id, name=name))

    async def delete_user(self, user_id: int) -> None:
        """Say that a user is gone."""
        await self._bus.publisher.publish(USERS, str(user_id), UserDeleted(user_id=user_id))

    async def registered(self, user_id: int, *, within: float = 10.0) -> RegistrationStatus:
        """Wait until the user is registered. Raises :class:`TimeoutError` that says what was there instead."""
        try:
            async with asyncio.timeout(within):
                while True:
                    self._changed.clear()
                    status = self._status(user_id)
                    if status is not None and status.state is RegistrationState.REGISTERED:
                        return status
                    await self._changed.wait()
        except TimeoutError:
            status = self._status(user_id)
            seen = f"{status.state}: {status.reason}" if status else "no status at all"
            raise TimeoutError(f"user {user_id} is not registered after {within:g} s, but {seen}") from None

    async def unregistered(self, user_id: int, *, within: float = 10.0) -> None:
        """Wait until the status of the user's mapping is gone. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            while self._status(user_id) is not None:
                self._changed.clear()
                await self._changed.wait()

    async def call(self, user_id: int, to: str, client: WebClient, *, offer: str | None = None) -> Call:
        """Start a call with the client's offer, made now unless it is given."""
        call_id = secrets.token_hex(8)
        call = self._calls[call_id] = Call(call_id, client)
        await self.command(Start(call_id=call_id, user_id=user_id, to=to, sdp=offer or await client.offer()))
        return call

    async def incoming(self, user_id: int, client: WebClient, *, within: float = 10.0) -> Call:
        """Wait for a call to the user, and let its client ring."""
        async with asyncio.timeout(within):
            event = await self._waiting(user_id).get()
        call = self._calls[event.call_id]
        call.client = client
        await self.command(Ringing(call_id=call.call_id))
        call.events.put_nowait(event)
        return call

    async def accept(self, call: Call) -> None:
        """Answer an incoming call with its client."""
        event = await call.until(Incoming)
        await self.command(Accept(call_id=call.call_id, sdp=await call.client.answer(event.sdp)))

    async def hang_up(self, call: Call) -> None:
        """End a call."""
        await self.command(Hangup(call_id=call.call_id))

    async def command(self, command: CallCommand) -> None:
        """Publish a call command."""
        await self._bus.publisher.publish(CALL_COMMANDS, command.call_id, command)

    def client(self, *, codecs: tuple[str, ...] = ("opus", "PCMU", "PCMA"), tone_hz: float = 440.0) -> WebClient:
        """Return a client for one call."""
        return WebClient(codecs=codecs, tone_hz=tone_hz, loopback=self._loopback)

    def _status(self, user_id: int) -> RegistrationStatus | None:
        aor = self._aors.get(user_id)
        return self._statuses.get(aor) if aor else None

    def _waiting(self, user_id: int) -> asyncio.Queue[Incoming]:
        return self._incoming.setdefault(user_id, asyncio.Queue(MOST_WAITING))

    def _mapping(self, record: Record) -> None:
        if record.is_tombstone:
            return
        event = record.envelope().event
        if getattr(event, "peer_type", None) is PeerType.USER and record.key:
            self._aors[event.model_dump()["peer_id"]] = record.key
            self._changed.set()

    def _call_event(self, record: Record) -> None:
        event = record.envelope().event
        if isinstance(event, Incoming):
            self._calls[event.call_id] = Call(event.call_id, self.client())
            self._waiting(event.user_id).put_nowait(event)
        elif isinstance(event, CallEvent) and (call := self._calls.get(event.call_id)) is not None:
            call.events.put_nowait(event)
            if isinstance(event, Ended):
                del self._calls[event.call_id]
