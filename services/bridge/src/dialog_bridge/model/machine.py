"""Moves a call: looks up the cell, goes to the next phase, does what the cell says, sets the deadline."""

from __future__ import annotations

from dialog_schemas.instances import CallDirection

from dialog_bridge.model.actions import Action, Forget, Record
from dialog_bridge.model.call import Call, Now
from dialog_bridge.model.inputs import Input
from dialog_bridge.model.phases import ENDING, TIMER, Phase, Timer
from dialog_bridge.model.table import TABLE


def advance(call: Call, event: Input, now: Now) -> list[Action]:
    """Give the call an input and return what is to be done, in order. Replays what waited for ``TALKING``."""
    call.now = now
    actions = _step(call, event)
    while call.phase is Phase.TALKING and call.postponed:
        actions += _step(call, call.postponed.popleft())
    return actions


def _step(call: Call, event: Input) -> list[Action]:
    step = TABLE[call.phase][event.kind]
    if step.to is not None and step.to is not call.phase:
        _enter(call, step.to)
    actions = step.do(call, event)
    if step.to is Phase.FINISHED:
        return [*actions, Forget()]
    if step.to in ENDING and call.left not in ENDING:
        return [*actions, Record()]
    return actions


def _enter(call: Call, phase: Phase) -> None:
    call.left, call.phase = call.phase, phase
    timer = TIMER[phase]
    if timer is None:
        call.deadline = None
    elif timer is not TIMER[call.left]:
        call.deadline = call.now.monotonic + _seconds(call, timer)


def _seconds(call: Call, timer: Timer) -> float:
    if timer is Timer.GLARE:
        return _glare_seconds(call)
    limits = call.limits
    return {
        Timer.MEDIA: limits.media,
        Timer.RING: limits.ring,
        Timer.CONFIRM: limits.confirm,
        Timer.CALL: limits.call,
        Timer.REQUEST: limits.request,
        Timer.TRANSFER: limits.transfer,
    }[timer]


def _glare_seconds(call: Call) -> float:
    """Who chose the Call-ID waits longer (RFC 3261 section 14.1)."""
    if call.identity.direction is CallDirection.OUTGOING:
        return round(call.random.uniform(2.1, 4.0), 2)
    return round(call.random.uniform(0.0, 2.0), 2)
