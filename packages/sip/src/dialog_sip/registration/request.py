"""The REGISTER itself (RFC 3261 section 10.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from dialog_sip.errors import LocalProtocolError
from dialog_sip.headers import Headers
from dialog_sip.message import Request
from dialog_sip.registration.settings import Account

_KEYS = ("max-forwards", "from", "to", "call-id", "cseq", "expires", "supported", "content-length")


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
) -> Request:
    """Build a REGISTER without Via.

    ``drop``: Contacts of ours whose bindings go with it; ``also``: others that are bound with it, no flow of their own;
    ``expires`` 0 removes ``contact`` and those as well.
    """
    # The tag need not change (RFC 3261 section 10.2 asks for the same Call-ID), and a stable one reads well in traces.
    tag = f"{zlib.crc32(call_id.encode()):08x}"
    outbound = "" if instance is None else _outbound(instance, reg_id)
    # Lines written by hand, not by way of NameAddr and Headers.add: this runs once for each refresh of each mapping.
    keys = list(_KEYS)
    lines = [
        "Max-Forwards: 70",
        f"From: <{account.aor}>;tag={tag}",
        f"To: <{account.aor}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        f"Expires: {expires}",
        "Supported: path, outbound" if outbound else "Supported: path",
        "Content-Length: 0",
        f"Contact: <{contact}>;expires={expires}{outbound}",
        *[f"Contact: <{uri}>;expires={expires}" for uri in also],
        *[f"Contact: <{uri}>;expires=0" for uri in drop],
    ]
    keys += ["contact"] * (len(lines) - len(keys))
    if user_agent:
        keys.append("user-agent")
        lines.append(f"User-Agent: {user_agent}")
    _check("".join(lines))
    return Request("REGISTER", target, Headers().adopt(keys, lines))


def build_query(account: Account, *, call_id: str, cseq: int) -> Request:
    """Build a REGISTER that changes nothing: its 2xx lists all bindings (RFC 3261 section 10.2.3)."""
    request = build_register(account, target=account.registrar, call_id=call_id, cseq=cseq, contact="", expires=0)
    for name in ("Contact", "Expires"):
        request.headers.remove(name)
    return request


def _check(text: str) -> None:
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("what goes into a REGISTER holds a line break")


def _outbound(instance: str, reg_id: int) -> str:
    return f';reg-id={reg_id};+sip.instance="<{instance}>"'
