"""The demo's steps, in order. Each is one line on the screen, and true only if what it says was seen."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from dialog_sandbox.webrtc import WebClient
from dialog_schemas.calls import Answered, Ended, EndReason, RemoteRinging, Trying

from dialog_console.adapters.pbx import PbxPages
from dialog_console.demo.messenger import Call, Messenger, UnexpectedEndError
from dialog_console.ports import PbxUnavailableError

T = TypeVar("T")

CLIENT_HZ, PHONE_HZ = 620.0, 440.0
"""What the dialog client and the PBX's phone play: different, so that nobody hears only themselves."""

MISSED = (TimeoutError, UnexpectedEndError, ConnectionError, PbxUnavailableError)
"""How a step fails."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the demo."""

    name: str
    ok: bool
    ms: float
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the step as JSON values."""
        return asdict(self) | {"ms": round(self.ms, 1)}


class StepFailedError(Exception):
    """A step did not hold: those after it make no sense."""


@dataclass
class Script:
    """Runs steps, times them and tells of them."""

    tell: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True while every step held."""
        return all(step.ok for step in self.steps)

    async def step(self, name: str, work: Awaitable[T]) -> T:
        """Do ``work``; words that it returns are told. Raises :class:`StepFailedError`."""
        began = time.perf_counter()
        try:
            result = await work
        except MISSED as error:
            self._done(Step(name, False, _ms_since(began), str(error) or type(error).__name__))
            raise StepFailedError(name) from error
        self._done(Step(name, True, _ms_since(began), result if isinstance(result, str) else ""))
        return result

    def _done(self, step: Step) -> None:
        self.steps.append(step)
        self.tell(step)


@dataclass
class Demo:
    """A user from its creation to its end, with a call each way in between."""

    messenger: Messenger
    pbx: PbxPages
    script: Script
    user_id: int = 434

    async def run(self) -> None:
        """Go through all steps. Raises :class:`StepFailedError`."""
        await self.script.step("user created, registered at the PBX", self.register())
        await self.outgoing()
        await self.incoming()
        await self.script.step("user deleted, unregistered at the PBX", self.unregister())

    async def outgoing(self) -> None:
        """Call the echo phone, hear oneself, hang up."""
        step, client = self.script.step, self.messenger.client(tone_hz=CLIENT_HZ)
        try:
            call = await step("client calls echo, which rings", self.echo_rings(client))
            await step("echo answers, media flows", self.media_flows(call))
            await step("client hears its own tone", self.client_hears(client, CLIENT_HZ))
            await step("client hangs up", self.client_hangs_up(call))
        finally:
            await client.close()

    async def incoming(self) -> None:
        """Be called by a phone of the PBX; both hear each other; the phone hangs up."""
        step, client = self.script.step, self.messenger.client(tone_hz=CLIENT_HZ)
        try:
            phone_call, call = await step("PBX phone calls, client rings", self.client_rings(client))
            await step("client answers, media flows", self.client_answers(call))
            await step("client hears the phone", self.client_hears(client, PHONE_HZ))
            await step("phone hears the client", self.phone_hears(phone_call))
            await step("phone hangs up", self.phone_hangs_up(call, phone_call))
        finally:
            await client.close()

    async def register(self) -> str:
        """From a user-created event to a binding at the PBX."""
        await self.messenger.create_user(self.user_id, "Demo")
        status = await self.messenger.registered(self.user_id)
        await self.pbx.bound(str(self.user_id), wanted=True)
        return f"{status.aor}, granted {status.granted_expires} s, by {status.owner}"

    async def echo_rings(self, client: WebClient) -> Call:
        """From the client's offer to the PBX's 180."""
        call = await self.messenger.call(self.user_id, "echo", client)
        await call.until(Trying)
        await call.until(RemoteRinging)
        return call

    async def media_flows(self, call: Call) -> None:
        """To ICE and DTLS done."""
        await call.until(Answered)
        await call.client.connected()

    async def client_hears(self, client: WebClient, hertz: float) -> str:
        """Let the client hear a tone that came through the PBX."""
        return _sound((await client.hears(hertz)).level_dbfs, hertz)

    async def client_hangs_up(self, call: Call) -> str:
        """From call-hangup to call-ended."""
        await self.messenger.hang_up(call)
        return await _ended(call)

    async def client_rings(self, client: WebClient) -> tuple[str, Call]:
        """From the phone's INVITE to the client's ringing."""
        phone_call = await self.pbx.dial("tone", str(self.user_id), PHONE_HZ)
        return phone_call, await self.messenger.incoming(self.user_id, client)

    async def client_answers(self, call: Call) -> None:
        """From the client's answer to ICE and DTLS done."""
        await self.messenger.accept(call)
        await self.media_flows(call)

    async def phone_hears(self, phone_call: str) -> str:
        """Let the phone hear the client."""
        report = await self.pbx.hears(phone_call, CLIENT_HZ)
        return _sound(report["heard_dbfs"], report["heard_hz"])

    async def phone_hangs_up(self, call: Call, phone_call: str) -> str:
        """From the phone's BYE to call-ended."""
        await self.pbx.hang_up(phone_call)
        return await _ended(call)

    async def unregister(self) -> None:
        """From a user-deleted event to no binding at the PBX, and no status."""
        await self.messenger.delete_user(self.user_id)
        await self.pbx.bound(str(self.user_id), wanted=False)
        await self.messenger.unregistered(self.user_id)


async def _ended(call: Call) -> str:
    """Wait for the end, which has to be a normal one. Raises :class:`UnexpectedEndError`."""
    ended = await call.until(Ended)
    if ended.reason is not EndReason.NORMAL:
        raise UnexpectedEndError(f"the call ended: {ended.reason} {ended.detail}")
    codec = ended.quality.codec if ended.quality else None
    return f"{ended.reason}, {codec}" if codec else ended.reason.value


def _sound(dbfs: float, hertz: float) -> str:
    return f"{hertz:.0f} Hz at {dbfs:.0f} dBFS"


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
