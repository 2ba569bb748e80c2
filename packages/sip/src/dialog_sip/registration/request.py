"""The REGISTER itself (RFC 3261 section 10.2), as text: it is written once for each refresh of each mapping.

What is in it is ours from the first line to the last, so it needs no header section to look things up in. Where it is
challenged, CSeq and credentials change and the rest goes out again as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from dialog_sip.digest import DigestClient
from dialog_sip.errors import LocalProtocolError
from dialog_sip.message import Request
from dialog_sip.parser import parse_message
from dialog_sip.registration.settings import Account

REGISTER = "REGISTER"
"""The method (RFC 3261 section 10)."""


@dataclass(slots=True)
class Register:
    """A REGISTER without Via (RFC 3261 section 10.2)."""

    uri: str
    cseq: int
    lines: str
    """Header lines with their line ends: all but CSeq and credentials."""
    credentials: str = ""
    """Those of the answer to a challenge."""

    def authorize(self, digest: DigestClient, password: str) -> None:
        """Put credentials for every challenge that ``digest`` knows into it, in place of any of before."""
        found = digest.credentials(REGISTER, self.uri, password)
        self.credentials = "".join([f"{name}: {value}\r\n" for name, value in found])

    def encode(self, via: str = "") -> bytes:
        """Return it for the wire; ``via`` is the value of Via, without which it is not fit to be sent."""
        above = f"Via: {via}\r\n" if via else ""
        text = f"REGISTER {self.uri} SIP/2.0\r\n{above}{self.lines}CSeq: {self.cseq} REGISTER\r\n{self.credentials}\r\n"
        return text.encode("utf-8", "surrogateescape")

    def request(self) -> Request:
        """Return the same as a message, for whoever wants to look into it."""
        message = parse_message(self.encode())
        if not isinstance(message, Request):
            raise LocalProtocolError("the Request-URI of a REGISTER holds a blank")
        return message


def build_register(
    account: Account,
    *,
    target: str,
    call_id: str,
    cseq: int,
    contact: str,
    expires: int,
    drop: Iterable[str] = (),
    instance: str | None = None,
    reg_id: int = 1,
    also: Iterable[str] = (),
    user_agent: str = "",
) -> Register:
    """Build a REGISTER (section 10.2). Raises :class:`LocalProtocolError` where a value holds a line break.

    ``drop``: Contacts of ours whose bindings go with it; ``also``: others that are bound with it, no flow of their own;
    ``expires`` 0 removes ``contact`` and those as well.
    """
    # The tag need not change (RFC 3261 section 10.2 asks for the same Call-ID), and a stable one reads well in traces.
    tag = f"{zlib.crc32(call_id.encode()):08x}"
    outbound = "" if instance is None else _outbound(instance, reg_id)
    more = [f"Contact: <{uri}>;expires={expires}\r\n" for uri in also]
    more += [f"Contact: <{uri}>;expires=0\r\n" for uri in drop]
    if user_agent:
        more.append(f"User-Agent: {user_agent}\r\n")
    lines = (
        f"Max-Forwards: 70\r\nFrom: <{account.aor}>;tag={tag}\r\nTo: <{account.aor}>\r\nCall-ID: {call_id}\r\n"
        f"Expires: {expires}\r\nSupported: path{', outbound' if outbound else ''}\r\nContent-Length: 0\r\n"
        f"Contact: <{contact}>;expires={expires}{outbound}\r\n{''.join(more)}"
    )
    _check(target + lines, _LINES + len(more))
    return Register(target, cseq, lines)


_LINES = 8
"""Lines that every REGISTER has, CSeq and Via apart."""


def build_query(account: Account, *, call_id: str, cseq: int) -> Request:
    """Build a REGISTER that changes nothing: its 2xx lists all bindings (RFC 3261 section 10.2.3)."""
    register = build_register(account, target=account.registrar, call_id=call_id, cseq=cseq, contact="", expires=0)
    request = register.request()
    for name in ("Contact", "Expires"):
        request.headers.remove(name)
    return request


def _check(text: str, lines: int) -> None:
    if text.count("\r") != lines or text.count("\n") != lines:
        raise LocalProtocolError("what goes into a REGISTER holds a line break")


def _outbound(instance: str, reg_id: int) -> str:
    return f';reg-id={reg_id};+sip.instance="<{instance}>"'
