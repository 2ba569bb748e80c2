"""What goes into a leg and comes out of it (``model/leg.py``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from dialog_schemas.relay import Relay
from dialog_sip.sip_dialog import SessionTimerSettings

from dialog_bridge.model.inputs import Input


@dataclass(frozen=True, slots=True)
class Parcel:
    """A relayed message and the registrar it goes to. ``to`` None: whoever holds the mapping now."""

    relay: Relay
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message, or time, means: inputs for the call, messages to send, or neither."""

    events: tuple[Input, ...] = ()
    parcels: tuple[Parcel, ...] = ()


NOTHING = Heard()


@dataclass(frozen=True, slots=True)
class Names:
    """What the leg's messages are marked with.

    ``prefix`` starts the names of our transactions. It is the same for the same call, so that a registrar knows a
    message that comes twice.
    """

    call: str
    aor: str
    instance: str
    prefix: str


@dataclass(frozen=True, slots=True)
class LegSettings:
    """How legs are to be; shared by all of them. ``ignore_contact``: the peer is where To and From say."""

    ignore_contact: bool = False
    timer: SessionTimerSettings = field(default_factory=SessionTimerSettings)
