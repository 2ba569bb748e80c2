"""A registration as a table: state and event -> state and actions.

Theory of operation. *Asking* and *leaving* want to send a REGISTER, the one to bind and the other to unbind; whoever
paces the requests lets it go (*sent*), and it is on its way in *registering* or *unregistering*. Only one is ever on
its way (RFC 3261 section 10.2), so a change of mind meanwhile is kept as a state: *stopping* waits for a REGISTER
that is no longer wanted, *restarting* for an unbinding that is not. *Retrying*, *rejected* and *departing* wait for
their timer after a failure.

Whether the PBX holds a binding is no state: it may, in all of them but *idle*, for as long as the last grant says. So
a refresh that fails is retried while the binding is still good, and a REGISTER that was never answered is unbound all
the same.

The table decides what; how long to wait, and whether a REGISTER would be one too many for now, is for ``timing.py``.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Final


class RegistrationState(StrEnum):
    """Where a registration stands (RFC 3261 section 10.2)."""

    IDLE = "idle"
    """Nothing is wanted and nothing is bound."""
    ASKING = "asking"
    REGISTERING = "registering"
    REGISTERED = "registered"
    RETRYING = "retrying"
    """The last REGISTER failed in a way that may pass."""
    REJECTED = "rejected"
    """The PBX refuses; tried again, slowly."""
    STOPPING = "stopping"
    LEAVING = "leaving"
    UNREGISTERING = "unregistering"
    RESTARTING = "restarting"
    DEPARTING = "departing"
    """The last unbinding failed."""


class RegistrationEvent(StrEnum):
    """What moves it (RFC 3261 section 10.2)."""

    START = "start"
    """It is wanted; or: now is a good moment to try again."""
    STOP = "stop"
    RESUME = "resume"
    """A binding is there from before."""
    REFRESH = "refresh"
    """The binding has to be renewed now: new Contact, new flow, new password."""
    TIMER = "timer"
    SENT = "sent"
    ACCEPTED = "accepted"
    """2xx, and for a REGISTER that binds: with our Contact in it."""
    ADJUSTED = "adjusted"
    """It has to be sent another way, and now is known how: 423, 3xx."""
    FAILED = "failed"
    """No answer, or one that may be another one later."""
    REFUSED = "refused"
    """An answer that somebody has to do something about."""
    LAPSED = "lapsed"
    """There can be no binding to remove any more."""


class Action(Enum):
    """What goes with a transition (RFC 3261 section 10.2)."""

    SEND = auto()
    """Ask for a REGISTER to be sent, as soon as the limit allows."""
    BIND = auto()
    """Note the binding that the answer grants."""
    UNBIND = auto()
    """Forget the binding."""
    SCHEDULE_REFRESH = auto()
    BACK_OFF = auto()
    BACK_OFF_SLOWLY = auto()


_S, _E, _A = RegistrationState, RegistrationEvent, Action
_ASK = (_S.ASKING, (_A.SEND,))
_LEAVE = (_S.LEAVING, (_A.SEND,))
_GONE = (_S.IDLE, (_A.UNBIND,))

Row = tuple[RegistrationState, tuple[Action, ...]]
"""The state after an event, and what to do."""


def _waiting(state: RegistrationState) -> dict[tuple[RegistrationState, RegistrationEvent], Row]:
    """Return the rows that *retrying* and *rejected* share."""
    return {
        (state, _E.START): _ASK,
        (state, _E.REFRESH): _ASK,
        (state, _E.TIMER): _ASK,
        (state, _E.STOP): _LEAVE,
    }


TRANSITIONS: Final[dict[tuple[RegistrationState, RegistrationEvent], Row]] = {
    (_S.IDLE, _E.START): _ASK,
    (_S.IDLE, _E.STOP): (_S.IDLE, ()),
    (_S.IDLE, _E.REFRESH): (_S.IDLE, ()),
    (_S.IDLE, _E.RESUME): (_S.REGISTERED, (_A.SCHEDULE_REFRESH,)),
    (_S.ASKING, _E.START): (_S.ASKING, ()),
    (_S.ASKING, _E.REFRESH): (_S.ASKING, ()),
    (_S.ASKING, _E.STOP): _LEAVE,
    (_S.ASKING, _E.TIMER): _ASK,
    (_S.ASKING, _E.SENT): (_S.REGISTERING, ()),
    (_S.ASKING, _E.FAILED): (_S.RETRYING, (_A.BACK_OFF,)),
    (_S.REGISTERING, _E.START): (_S.REGISTERING, ()),
    (_S.REGISTERING, _E.REFRESH): (_S.REGISTERING, ()),
    (_S.REGISTERING, _E.STOP): (_S.STOPPING, ()),
    (_S.REGISTERING, _E.ACCEPTED): (_S.REGISTERED, (_A.BIND, _A.SCHEDULE_REFRESH)),
    (_S.REGISTERING, _E.ADJUSTED): _ASK,
    (_S.REGISTERING, _E.FAILED): (_S.RETRYING, (_A.BACK_OFF,)),
    (_S.REGISTERING, _E.REFUSED): (_S.REJECTED, (_A.BACK_OFF_SLOWLY,)),
    (_S.REGISTERED, _E.START): (_S.REGISTERED, ()),
    (_S.REGISTERED, _E.REFRESH): _ASK,
    (_S.REGISTERED, _E.TIMER): _ASK,
    (_S.REGISTERED, _E.STOP): _LEAVE,
    **_waiting(_S.RETRYING),
    **_waiting(_S.REJECTED),
    (_S.STOPPING, _E.START): (_S.REGISTERING, ()),
    (_S.STOPPING, _E.REFRESH): (_S.STOPPING, ()),
    (_S.STOPPING, _E.STOP): (_S.STOPPING, ()),
    (_S.STOPPING, _E.ACCEPTED): (_S.LEAVING, (_A.BIND, _A.SEND)),
    (_S.STOPPING, _E.ADJUSTED): _LEAVE,
    (_S.STOPPING, _E.FAILED): _LEAVE,
    (_S.STOPPING, _E.REFUSED): _GONE,
    (_S.LEAVING, _E.START): _ASK,
    (_S.LEAVING, _E.REFRESH): (_S.LEAVING, ()),
    (_S.LEAVING, _E.STOP): (_S.LEAVING, ()),
    (_S.LEAVING, _E.TIMER): _LEAVE,
    (_S.LEAVING, _E.SENT): (_S.UNREGISTERING, ()),
    (_S.LEAVING, _E.FAILED): (_S.DEPARTING, (_A.BACK_OFF,)),
    (_S.LEAVING, _E.LAPSED): _GONE,
    (_S.UNREGISTERING, _E.START): (_S.RESTARTING, ()),
    (_S.UNREGISTERING, _E.REFRESH): (_S.UNREGISTERING, ()),
    (_S.UNREGISTERING, _E.STOP): (_S.UNREGISTERING, ()),
    (_S.UNREGISTERING, _E.ACCEPTED): _GONE,
    (_S.UNREGISTERING, _E.ADJUSTED): _LEAVE,
    (_S.UNREGISTERING, _E.FAILED): (_S.DEPARTING, (_A.BACK_OFF,)),
    (_S.UNREGISTERING, _E.REFUSED): _GONE,
    (_S.UNREGISTERING, _E.LAPSED): _GONE,
    (_S.RESTARTING, _E.START): (_S.RESTARTING, ()),
    (_S.RESTARTING, _E.REFRESH): (_S.RESTARTING, ()),
    (_S.RESTARTING, _E.STOP): (_S.UNREGISTERING, ()),
    (_S.RESTARTING, _E.ACCEPTED): (_S.ASKING, (_A.UNBIND, _A.SEND)),
    (_S.RESTARTING, _E.ADJUSTED): _ASK,
    (_S.RESTARTING, _E.FAILED): _ASK,
    (_S.RESTARTING, _E.REFUSED): _ASK,
    (_S.DEPARTING, _E.START): _ASK,
    (_S.DEPARTING, _E.REFRESH): (_S.DEPARTING, ()),
    (_S.DEPARTING, _E.STOP): (_S.DEPARTING, ()),
    (_S.DEPARTING, _E.TIMER): _LEAVE,
    (_S.DEPARTING, _E.LAPSED): _GONE,
}
"""What is not here cannot happen: an answer where nothing was sent, a RESUME of what is running."""

UNBINDING: Final = frozenset({_S.LEAVING, _S.UNREGISTERING, _S.DEPARTING})
"""States whose next REGISTER, or the one on its way, removes the binding for good."""
IN_FLIGHT: Final = frozenset({_S.REGISTERING, _S.STOPPING, _S.UNREGISTERING, _S.RESTARTING})
"""States with a REGISTER on its way."""
WANTS_TO_SEND: Final = frozenset({_S.ASKING, _S.LEAVING})
"""States in which a REGISTER is to be sent."""
KEEPING: Final = frozenset({_S.ASKING, _S.REGISTERING, _S.REGISTERED})
"""States in which all is well where there is a binding."""
BEGINNING: Final = frozenset({_S.ASKING, _S.REGISTERING})
"""States that lead to a binding, where there is none."""
