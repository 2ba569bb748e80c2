"""What the phones of the sandbox PBX do with a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialog_sip.sdp import Codec

from dialog_sandbox.media.audio_port import Sound
from dialog_sandbox.phone.call import CallEndedError
from dialog_sandbox.phone.descriptions import ECHOABLE, G711
from dialog_sandbox.phone.incoming import IncomingCall
from dialog_sandbox.phone.phone import Behaviour

RINGS = 0.3
"""Seconds that a phone rings before it answers."""
TONE = 440.0
"""Hz, of the tone phone."""


async def _ring(call: IncomingCall) -> bool:
    """Ring for a moment; False where the caller gave up."""
    call.ring()
    try:
        await call.ended(within=RINGS)
    except TimeoutError:
        return True
    return False


async def _answer(call: IncomingCall) -> None:
    try:
        call.answer()
    except CallEndedError:
        # Nothing in common, or too late; the caller has been told.
        return


async def echo(call: IncomingCall) -> None:
    """Answer, and send back what is heard."""
    call.audio.sound = Sound.ECHO
    if await _ring(call):
        await _answer(call)


async def tone(call: IncomingCall) -> None:
    """Answer, and play a tone."""
    call.audio.play(TONE)
    if await _ring(call):
        await _answer(call)


async def busy(call: IncomingCall) -> None:
    """Answer 486."""
    call.reject(486)


async def reject(call: IncomingCall) -> None:
    """Answer 603."""
    call.reject(603)


async def silent(call: IncomingCall) -> None:
    """Ring until the caller gives up."""
    call.ring()


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A phone that the PBX brings."""

    user: str
    behaviour: Behaviour
    codecs: Sequence[Codec] = G711


BUILT_IN = (
    BuiltIn("echo", echo, ECHOABLE),
    BuiltIn("tone", tone),
    BuiltIn("busy", busy),
    BuiltIn("reject", reject),
    BuiltIn("silent", silent),
)
"""A user that is none of these, and has never registered, is not found."""
