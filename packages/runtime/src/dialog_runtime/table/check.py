"""One row in, one event out: usable or not, and if not, every reason at once.

NULL is read as the default that needs no thought: port of the transport, transport udp, peer unknown, and off for the
three switches, so that half a row never registers or calls anybody.

Of 100,000 rows nearly all have the same few texts but for user and peer, so what those texts mean is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeVar

from dialog_schemas.mappings import Handshake, MappingRejected, MappingUpserted, MediaMode, PeerType, Transport

from dialog_runtime.table import fields
from dialog_runtime.table.fields import FieldError
from dialog_runtime.table.rows import AOR_MAX, Row

Checked = MappingUpserted | MappingRejected
"""What a row becomes on ``sip.mappings``."""

DEFAULT_PORT = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061, Transport.WS: 80, Transport.WSS: 443}
"""Where ``sip_port`` is NULL (RFC 3261 section 19.1.2, RFC 7118 section 5.1)."""

_LAST_PEER_TYPE = max(PeerType)
_REMEMBERED = 256
_REMEMBERED_UP_TO = 1024
"""Characters: longer texts are read each time, so that what is remembered stays small."""

_T = TypeVar("_T")


class _Problems:
    """Collects what is wrong, so that an administrator hears of everything at once."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def take(self, otherwise: _T, read: Callable[..., _T], *arguments: object) -> _T:
        try:
            return read(*arguments)
        except FieldError as error:
            self.words.append(str(error))
            return otherwise


class _Rest(NamedTuple):
    """What a row says beside user, host and peer_id."""

    way: _Way
    port: int
    peer_type: PeerType
    registers: bool
    can_call: bool
    can_be_called: bool
    problems: tuple[str, ...]
    """Those of the way included."""


class _Way(NamedTuple):
    """What ``sip_parameters`` and ``sip_headers`` say of the way to the PBX."""

    transport: Transport
    media: MediaMode
    handshake: Handshake | None
    problems: tuple[str, ...]


def check(row: Row) -> Checked:
    """Return the event for ``row``. Total: any row gives one."""
    problems = _Problems()
    take = problems.take
    user = take("", fields.sip_user, row.sip_user)
    host = take("", fields.sip_host, row.sip_host)
    if len(user) + len(host) + 1 > AOR_MAX:
        problems.words.append(f"sip_user and sip_host are too long: {AOR_MAX - 1} characters together are allowed")
    rest = _rest(
        row.sip_parameters, row.sip_headers, row.sip_port, row.peer_type,
        row.register, row.can_call, row.can_be_called,
    )  # fmt: skip
    problems.words += rest.problems
    peer_id = take(0, fields.int32, "peer_id", row.peer_id)
    way = rest.way
    aor = row.address.aor
    if problems.words:
        return MappingRejected(aor=aor, reason="; ".join(problems.words), revision=row.revision)
    return MappingUpserted(
        aor=aor,
        sip_user=user,
        sip_host=host,
        sip_port=rest.port,
        transport=way.transport,
        handshake=way.handshake,
        media=way.media,
        peer_type=rest.peer_type,
        peer_id=peer_id,
        registers=rest.registers,
        can_call=rest.can_call,
        can_be_called=rest.can_be_called,
        revision=row.revision,
    )


def way_problems(parameters: str | None, headers: str | None) -> tuple[str, ...]:
    """Return what is wrong with ``sip_parameters`` and ``sip_headers``, each as ``column ...: write ...``."""
    return _way(parameters, headers).problems


def _rest(*columns: str | None) -> _Rest:
    short = sum(map(len, filter(None, columns))) <= _REMEMBERED_UP_TO
    return _remembered_rest(*columns) if short else _read_rest(*columns)


def _read_rest(
    parameters: str | None,
    headers: str | None,
    port: str | None,
    peer_type: str | None,
    register: str | None,
    can_call: str | None,
    can_be_called: str | None,
) -> _Rest:
    problems = _Problems()
    take = problems.take
    way = _way(parameters, headers)
    problems.words += way.problems
    return _Rest(
        way,
        take(1, fields.integer, "sip_port", port, DEFAULT_PORT[way.transport], 1, 65535),
        PeerType(take(0, fields.integer, "peer_type", peer_type, 0, 0, _LAST_PEER_TYPE)),
        take(False, fields.boolean, "register", register),
        take(False, fields.boolean, "can_call", can_call),
        take(False, fields.boolean, "can_be_called", can_be_called),
        tuple(problems.words),
    )


_remembered_rest = lru_cache(_REMEMBERED)(_read_rest)


def _way(parameters_text: str | None, headers_text: str | None) -> _Way:
    problems = _Problems()
    take = problems.take
    parameters: dict[str, object] = take({}, fields.json_object, "sip_parameters", parameters_text)
    headers: dict[str, object] = take({}, fields.json_object, "sip_headers", headers_text)
    transport = take(Transport.UDP, _transport, parameters)
    media = take(MediaMode.AUTO, _media, parameters)
    handshake = _handshake(transport, parameters, headers, problems)
    return _Way(transport, media, handshake, tuple(problems.words))


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
    method = problems.take("GET", _method, parameters)
    host = problems.take("", _handshake_host, transport, headers)
    location = problems.take("/", _location, headers)
    return Handshake(method=method, host=host, location=location)


def _method(parameters: dict[str, object]) -> str:
    return fields.http_token("sip_parameters.method", fields.word("sip_parameters", parameters, "method", "GET"))


def _location(headers: dict[str, object]) -> str:
    return fields.http_path("sip_headers.location", fields.word("sip_headers", headers, "location", "/"))


def _handshake_host(transport: Transport, headers: dict[str, object]) -> str:
    host = fields.word("sip_headers", headers, "host", "")
    if not host:
        raise FieldError(
            f'sip_headers.host is missing, which transport {transport} needs: write {{"host": "example.com:port"}}'
        )
    return fields.host_port("sip_headers.host", host)
