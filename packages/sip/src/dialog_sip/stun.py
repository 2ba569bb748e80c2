"""The STUN Binding requests and responses that keep a SIP flow over UDP alive (RFC 5626 section 4.4.2, RFC 8489).

A request is twenty bytes and asks under which address it arrived; the answer says so. They share the port with SIP and
are told from it by their first byte, below that of any method, and by the magic cookie.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final, NamedTuple

TRANSACTION_SIZE: Final = 12
"""Bytes of a transaction id (RFC 8489 section 5)."""
_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_COOKIE: Final = 0x2112A442
_COOKIE_BYTES: Final = _COOKIE.to_bytes(4)
_REQUEST, _SUCCESS = 0x0001, 0x0101
_XOR_MAPPED_ADDRESS: Final = 0x0020
_FAMILIES: Final = {1: 4, 2: 16}
"""Family -> bytes of an address (RFC 8489 section 14.1)."""

Address = tuple[str, int]
"""Address and port."""


class Binding(NamedTuple):
    """A Binding request, or the successful answer to one (RFC 8489 section 5)."""

    transaction: bytes
    is_request: bool
    mapped: Address | None = None
    """Under which address the request arrived (RFC 8489 section 14.2); None where it says none."""


def is_stun(data: bytes) -> bool:
    """Tell a STUN message from SIP (RFC 8489 section 5)."""
    return len(data) >= _HEADER.size and data[0] < 0x40 and data[4:8] == _COOKIE_BYTES


def binding_request(transaction: bytes) -> bytes:
    """Return a Binding request (RFC 8489 section 6.1); ``transaction`` is :data:`TRANSACTION_SIZE` random bytes."""
    return _HEADER.pack(_REQUEST, 0, _COOKIE, transaction)


def binding_answer(transaction: bytes, source: Address) -> bytes:
    """Return the answer to a Binding request that came from ``source`` (RFC 8489 section 6.3.1.1)."""
    address = ip_address(source[0]).packed
    family = 1 if len(address) == _FAMILIES[1] else 2
    value = struct.pack("!xBH", family, source[1] ^ (_COOKIE >> 16)) + _masked(address, transaction)
    attribute = _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_SUCCESS, len(attribute), _COOKIE, transaction) + attribute


def read_binding(data: bytes) -> Binding | None:
    """Read a Binding request or its successful answer (RFC 8489 section 6.3).

    None for every other message and for a broken one.
    """
    if not is_stun(data):
        return None
    kind, size, _, transaction = _HEADER.unpack_from(data)
    if size != len(data) - _HEADER.size or kind not in {_REQUEST, _SUCCESS}:
        return None
    return Binding(transaction, kind == _REQUEST, _mapped(data[_HEADER.size :], transaction))


def _mapped(attributes: bytes, transaction: bytes) -> Address | None:
    while len(attributes) >= _ATTRIBUTE.size:
        kind, size = _ATTRIBUTE.unpack_from(attributes)
        value = attributes[_ATTRIBUTE.size : _ATTRIBUTE.size + size]
        if kind == _XOR_MAPPED_ADDRESS and len(value) == size:
            return _address(value, transaction)
        # Values are padded to four bytes (RFC 8489 section 14).
        attributes = attributes[_ATTRIBUTE.size + (size + 3) // 4 * 4 :]
    return None


def _address(value: bytes, transaction: bytes) -> Address | None:
    if len(value) < _ATTRIBUTE.size or len(value) != _ATTRIBUTE.size + _FAMILIES.get(value[1], 0):
        return None
    port = int.from_bytes(value[2:4]) ^ (_COOKIE >> 16)
    return str(ip_address(_masked(value[4:], transaction))), port


def _masked(address: bytes, transaction: bytes) -> bytes:
    mask = _COOKIE_BYTES + transaction
    return bytes(one ^ other for one, other in zip(address, mask, strict=False))
