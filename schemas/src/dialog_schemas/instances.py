"""Topics ``instances`` (who is alive) and ``call.directory`` (who holds which call), both compacted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dialog_schemas.calls import CallState
from dialog_schemas.event import Aor, CallId, Event, InstanceId, UserId


class ServiceName(StrEnum):
    """The services that have instances."""

    PROVISIONER = "provisioner"
    REGISTRAR = "registrar"
    BRIDGE = "bridge"
    CONSOLE = "console"


class Heartbeat(Event):
    """An instance is alive, said once a second; silent for three, it is dead. A clean exit leaves a tombstone."""

    NAME: ClassVar[str] = "instance-heartbeat"
    instance: InstanceId
    service: ServiceName
    version: str
    at: datetime
    load: Annotated[float, Field(ge=0)] = 0
    """What it carries now, in its own unit: calls for a bridge, mappings for a registrar."""
    capacity: Annotated[float, Field(gt=0)] | None = None
    """How much it would carry; none where nobody set a limit."""
    draining: bool = False
    http: str | None = None
    """``host:port`` of its health and metrics pages."""
    incarnation: str = ""
    """Names the process. Another one under the same id has another: what the one before it had in hand is lost."""


class CallDirection(StrEnum):
    """Seen from the dialog server, as ``can_call`` and ``can_be_called`` are."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class SipDialogRecord(Event):
    """State of a SIP dialog as another instance needs it to go on (RFC 3261 section 12)."""

    NAME: ClassVar[str] = "sip-dialog"
    call_id: str
    local_tag: str
    remote_tag: str | None = None
    local_uri: str
    remote_uri: str
    remote_target: str | None = None
    route_set: tuple[str, ...] = ()
    local_cseq: int = 0
    remote_cseq: int | None = None


class CallHeld(Event):
    """``instance`` holds the call. Of two records of one call that with the higher ``epoch`` is right."""

    NAME: ClassVar[str] = "call-held-by"
    call_id: CallId
    instance: InstanceId
    epoch: Annotated[int, Field(ge=1)]
    direction: CallDirection
    aor: Aor
    user_id: UserId
    state: CallState
    seq: int = 0
    """``seq`` of the last call event."""
    sip_dialog: SipDialogRecord | None = None
    transaction: str | None = None
    """The INVITE's transaction between bridge and registrar while the call is not answered: what a CANCEL or a final
    response of another bridge has to name."""
    started_at: datetime
    answered_at: datetime | None = None
