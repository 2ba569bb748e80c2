"""What is done with a call that a dead bridge leaves. Its media died with it, so the call is ended on both sides.

A bridge whose media outlives it would go on from here instead; then these rows lead to ``TALKING``.
"""

from __future__ import annotations

from dialog_schemas.calls import EndReason

from dialog_bridge.model.actions import Action, Respond, SendBye, SendCancel
from dialog_bridge.model.call import Call
from dialog_bridge.model.inputs import Input, Signal

LOST = "the bridge that held the call is gone"


def hang_up(call: Call, _: Input) -> list[Action]:
    """End a call in which both talked."""
    return [SendBye(), *call.end(EndReason.ERROR, LOST)]


def cancel(call: Call, _: Input) -> list[Action]:
    """Cancel an INVITE of the dead bridge."""
    return [SendCancel(), *call.end(EndReason.ERROR, LOST)]


def cancel_again(_: Call, __: Input) -> list[Action]:
    """Cancel an INVITE whose CANCEL may have died with its bridge; the dialog server has heard `ended`."""
    return [SendCancel()]


def decline(call: Call, signal: Signal) -> list[Action]:
    """Answer an INVITE that the dead bridge had taken; ``detail`` names its transaction."""
    return [Respond(signal.detail, 500), *call.end(EndReason.ERROR, LOST, 500)]
