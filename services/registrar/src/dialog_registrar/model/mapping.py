"""A mapping as the registrar keeps it: the row of the table, without its password and in few bytes."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import NamedTuple

from dialog_schemas.mappings import Handshake, MappingUpserted, Transport


class Server(NamedTuple):
    """A PBX address. Mappings that agree in all of it share a flow."""

    transport: Transport
    host: str
    port: int
    method: str = "GET"
    """The rest is the websocket handshake of ws and wss."""
    handshake_host: str = ""
    location: str = ""

    def __str__(self) -> str:
        return f"{self.transport}:{self.host}:{self.port}{self.location}"


class Mapping(NamedTuple):
    """One row. ``aor`` is ``sip_user@sip_host``."""

    aor: str
    user: str
    host: str
    server: Server
    registers: bool
    can_call: bool
    can_be_called: bool
    revision: str

    @property
    def wants_flow(self) -> bool:
        """True where SIP may travel for this mapping, registered or not."""
        return self.registers or self.can_call or self.can_be_called


def mapping_of(event: MappingUpserted) -> Mapping:
    """Keep what the registrar needs. Strings that rows have in common are held once."""
    handshake = event.handshake
    server = _server(event.transport, event.sip_host, event.sip_port, handshake)
    return Mapping(
        aor=event.aor,
        user=event.sip_user,
        host=server.host,
        server=server,
        registers=event.registers,
        can_call=event.can_call,
        can_be_called=event.can_be_called,
        revision=event.revision,
    )


@lru_cache(maxsize=1024)
def _server(transport: Transport, host: str, port: int, handshake: Handshake | None) -> Server:
    """Return the same object for the same address."""
    if handshake is None:
        return Server(transport, host, port)
    return Server(transport, host, port, handshake.method, handshake.host, handshake.location)


def unusable(aor: str, revision: str) -> Mapping:
    """Return what stands for a row that cannot be used: it wants nothing."""
    user, _, host = aor.rpartition("@")
    server = Server(Transport.UDP, sys.intern(host), 0)
    return Mapping(aor, user, host, server, registers=False, can_call=False, can_be_called=False, revision=revision)
