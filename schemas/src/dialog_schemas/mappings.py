"""Topic ``sip.mappings``: the table ``sip_user_mappings`` as a compacted stream. Key: the AOR.

The password is not here and never will be: who needs it (the registrar) reads it from the table when ``revision`` says
that the row has changed. A deleted row is a tombstone.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dialog_schemas.event import Aor, Event

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""


class PeerType(IntEnum):
    """``peer_type`` of the table: who the mapping stands for."""

    UNKNOWN = 0
    USER = 1
    GROUP = 2
    ENCRYPTED_PRIVATE = 3
    SIP = 4


class Transport(StrEnum):
    """``sip_parameters.transport``: how the PBX is reached (RFC 3261 section 18, RFC 7118)."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"
    WS = "ws"
    WSS = "wss"


class MediaMode(StrEnum):
    """``sip_parameters.media``: who speaks WebRTC to the dialog client."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


class Handshake(Event):
    """The websocket handshake of a ws or wss mapping (RFC 6455 section 4.1)."""

    NAME: ClassVar[str] = "handshake"
    method: str = "GET"
    host: str
    location: str = "/"


class MappingUpserted(Event):
    """A usable row of the table, as it is now."""

    NAME: ClassVar[str] = "mapping-upserted"
    aor: Aor
    sip_user: str
    sip_host: str
    sip_port: Port
    transport: Transport
    handshake: Handshake | None = None
    media: MediaMode = MediaMode.AUTO
    peer_type: PeerType
    peer_id: int
    registers: bool = Field(alias="register", serialization_alias="register")
    can_call: bool
    can_be_called: bool
    revision: str = Field(description="Changes whenever the row does, the password included; opaque.")


class MappingRejected(Event):
    """A row that cannot be used, with the reason in words. The registrar turns it into a status."""

    NAME: ClassVar[str] = "mapping-rejected"
    aor: Aor
    reason: str
    revision: str


class MappingDeleted(Event):
    """A row that is gone. On the wire a tombstone (no value), so that compaction drops the key."""

    NAME: ClassVar[str] = "mapping-deleted"
    aor: Aor
