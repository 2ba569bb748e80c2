"""Where a call of ours stands (RFC 3261 section 13.2), as a table; no I/O.

Theory of operation. What the 2xx, failures and CANCEL of an INVITE mean for the call as a whole. Each branch has a
dialog with a table of its own (:mod:`~dialog_sip.sip_dialog.machine`). After the first 2xx nothing but time ends the
INVITE: another 2xx belongs to a branch that lost. A 2xx that crosses our CANCEL does not bring the call back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError


class CallingState(StrEnum):
    """Where the call stands (RFC 3261 section 13.2)."""

    CALLING = "calling"
    CANCELLING = "cancelling"
    ANSWERED = "answered"
    """A 2xx came; others may follow for 64*T1."""
    DONE = "done"
    """What goes on goes on in the session."""
    FAILED = "failed"


class CallingEvent(StrEnum):
    """What moves it (RFC 3261 section 13.2)."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCEL = "cancel"
    TIMER = "timer"
    """64*T1 after the first 2xx, or after nothing came."""


_S, _E = CallingState, CallingEvent

TRANSITIONS: Final = {
    (_S.CALLING, _E.SUCCESS): _S.ANSWERED,
    (_S.CALLING, _E.FAILURE): _S.FAILED,
    (_S.CALLING, _E.CANCEL): _S.CANCELLING,
    (_S.CANCELLING, _E.SUCCESS): _S.CANCELLING,
    (_S.CANCELLING, _E.FAILURE): _S.FAILED,
    (_S.CANCELLING, _E.CANCEL): _S.CANCELLING,
    (_S.ANSWERED, _E.SUCCESS): _S.ANSWERED,
    (_S.ANSWERED, _E.FAILURE): _S.ANSWERED,
    (_S.ANSWERED, _E.CANCEL): _S.ANSWERED,
    (_S.ANSWERED, _E.TIMER): _S.DONE,
    **{(state, event): state for state in (_S.DONE, _S.FAILED) for event in CallingEvent},
}
"""State and event -> the state after it."""


def after(state: CallingState, event: CallingEvent) -> CallingState:
    """Return where the call stands after ``event`` (RFC 3261 section 13.2).

    Raises :class:`LocalProtocolError` where it cannot happen.
    """
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise LocalProtocolError(f"{event} cannot happen while {state}")
    return following
