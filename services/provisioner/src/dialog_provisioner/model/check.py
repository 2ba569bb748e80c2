"""One row in, one event out: usable or not, and if not, every reason at once.

NULL is read as the default that needs no thought: port of the transport, transport udp, peer unknown, and off for the
three switches, so that half a row never registers or calls anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dialog_schemas.mappings import Handshake, MappingRejected, MappingUpserted, MediaMode, PeerType, Transport

from dialog_provisioner.model import fields
from dialog_provisioner.model.fields import FieldError
from dialog_provisioner.model.rows import AOR_MAX, Row

Checked = MappingUpserted | MappingRejected
"""What a row becomes on ``sip.mappings``."""

DEFAULT_PORT = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061, Transport.WS: 80, Transport.WSS: 443}
"""Where ``sip_port`` is NULL (RFC 3261 section 19.1.2, RFC 7118 section 5.1)."""

_T = TypeVar("_T")


class _Problems:
    """Collects what is wrong, so that an administrator hears of everything at once."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def take(self, read: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return read()
        except FieldError as error:
            self.words.append(str(error))
            return otherwise


def check(row: Row) -> Checked:
    """Return the event for ``row``. Total: any row gives one."""
    problems = _Problems()
    take = problems.take
    user = take(lambda: fields.sip_user(row.sip_user), "")
    host = take(lambda: fields.sip_host(row.sip_host), "")
    if len(user) + len(host) + 1 > AOR_MAX:
        problems.words.append(f"sip_user and sip_host are too long: {AOR_MAX - 1} characters together are allowed")
    parameters: dict[str, object] = take(lambda: fields.json_object("sip_parameters", row.sip_parameters), {})
    headers: dict[str, object] = take(lambda: fields.json_object("sip_headers", row.sip_headers), {})
    transport = take(lambda: _transport(parameters), Transport.UDP)
    media = take(lambda: _media(parameters), MediaMode.AUTO)
    handshake = _handshake(transport, parameters, headers, problems)
    port = take(lambda: fields.integer("sip_port", row.sip_port, DEFAULT_PORT[transport], 1, 65535), 1)
    peer_type = take(lambda: fields.integer("peer_type", row.peer_type, 0, 0, max(PeerType)), 0)
    peer_id = take(lambda: fields.int32("peer_id", row.peer_id), 0)
    registers = take(lambda: fields.boolean("register", row.register), False)
    can_call = take(lambda: fields.boolean("can_call", row.can_call), False)
    can_be_called = take(lambda: fields.boolean("can_be_called", row.can_be_called), False)
    aor = row.address.aor
    if problems.words:
        return MappingRejected(aor=aor, reason="; ".join(problems.words), revision=row.revision)
    return MappingUpserted(
        aor=aor,
        sip_user=user,
        sip_host=host,
        sip_port=port,
        transport=transport,
        handshake=handshake,
        media=media,
        peer_type=PeerType(peer_type),
        peer_id=peer_id,
        registers=registers,
        can_call=can_call,
        can_be_called=can_be_called,
        revision=row.revision,
    )


def _transport(parameters: dict[str, object]) -> Transport:
    text = fields.word("sip_parameters", parameters, "transport", Transport.UDP)
    try:
        return Transport(text.lower())
    except ValueError:
        raise FieldError(f"sip_parameters.transport is {text[:64]!r}: write one of {', '.join(Transport)}") from None


def _media(parameters: dict[str, object]) -> MediaMode:
    text = fields.word("sip_parameters", parameters, "media", MediaMode.AUTO)
    try:
        return MediaMode(text.lower())
    except ValueError:
        raise FieldError(f"sip_parameters.media is {text[:64]!r}: write one of {', '.join(MediaMode)}") from None


def _handshake(
    transport: Transport, parameters: dict[str, object], headers: dict[str, object], problems: _Problems
) -> Handshake | None:
    if transport not in {Transport.WS, Transport.WSS}:
        return None
    take = problems.take
    method = take(
        lambda: fields.http_token("sip_parameters.method", fields.word("sip_parameters", parameters, "method", "GET")),
        "GET",
    )
    host = take(lambda: _handshake_host(transport, headers), "")
    location = take(
        lambda: fields.http_path("sip_headers.location", fields.word("sip_headers", headers, "location", "/")), "/"
    )
    return Handshake(method=method, host=host, location=location)


def _handshake_host(transport: Transport, headers: dict[str, object]) -> str:
    host = fields.word("sip_headers", headers, "host", "")
    if not host:
        raise FieldError(
            f'sip_headers.host is missing, which transport {transport} needs: write {{"host": "example.com:port"}}'
        )
    return fields.host_port("sip_headers.host", host)
