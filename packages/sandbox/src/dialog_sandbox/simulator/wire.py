"""A REGISTER taken apart with as few operations as can be, and its answers. Not a parser: it reads what UACs send.

What it cannot read it drops, which is counted; full SIP is for ``dialog_sandbox.pbx``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_EXPIRES = re.compile(rb";\s*expires\s*=\s*(\d+)", re.IGNORECASE)
_PARAM = re.compile(rb'(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]+))')
_LONG = {
    b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id", b"m": b"contact", b"l": b"content-length",
}  # fmt: skip
_END = b"Content-Length: 0\r\n\r\n"
_LINE_ENDS = b"\r\n"


class Register(NamedTuple):
    """What a registrar needs to know of a REGISTER."""

    via: bytes
    """All Via values, topmost first."""
    from_: bytes
    to: bytes
    call_id: bytes
    cseq: int
    contact: bytes
    """The first Contact; others are bindings to drop."""
    expires: int | None
    """Seconds asked for, of the Contact or of the request."""
    authorization: bytes
    uri: bytes

    @property
    def user(self) -> bytes:
        """User part of To."""
        return self.to.partition(b"sip:")[2].partition(b"@")[0]


def read(data: bytes) -> Register | None:
    """Read a datagram; None: it is no REGISTER that can be answered."""
    if not data.startswith(b"REGISTER "):
        return None
    lines = data.partition(b"\r\n\r\n")[0].split(_LINE_ENDS)
    fields: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        key = name.strip().lower()
        key = _LONG.get(key, key)
        # The topmost Via and the first Contact are what counts; more Vias are kept behind the first.
        if key not in fields:
            fields[key] = value.strip()
        elif key == b"via":
            fields[key] += b", " + value.strip()
    try:
        contact = fields.get(b"contact", b"")
        found = _EXPIRES.search(contact)
        asked = found[1] if found else fields.get(b"expires")
        return Register(
            fields[b"via"],
            fields[b"from"],
            fields[b"to"],
            fields[b"call-id"],
            int(fields[b"cseq"].split()[0]),
            contact.partition(b">")[0].lstrip(b"<"),
            None if asked is None else int(asked),
            fields.get(b"authorization", b""),
            lines[0].split(b" ", 2)[1],
        )
    except (KeyError, ValueError, IndexError):
        return None


def credentials(value: bytes) -> dict[bytes, bytes]:
    """Read the parameters of Authorization."""
    return {name: quoted or plain for name, quoted, plain in _PARAM.findall(value)}


def answer(register: Register, status: bytes, source: tuple[str, int], *lines: bytes) -> bytes:
    """Return a response; ``status`` is such as ``200 OK``, ``lines`` are further headers."""
    host, port = source
    via = register.via.replace(b";rport", b";rport=%d;received=%s" % (port, host.encode()), 1)
    head = b"SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s;tag=sim\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\n" % (
        status, via, register.from_, register.to, register.call_id, register.cseq,
    )  # fmt: skip
    return head + b"".join(line + _LINE_ENDS for line in lines) + _END
