"""The REGISTER itself (RFC 3261 section 10.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request
from dialog_sip.registration.settings import Account

_MAX_FORWARDS = "70"


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
) -> Request:
    """Build a REGISTER without Via.

    ``drop``: Contacts of ours whose bindings go with it; ``also``: others that are bound with it, no flow of their own;
    ``expires`` 0 removes ``contact`` and those as well.
    """
    # The tag need not change (RFC 3261 section 10.2 asks for the same Call-ID), and a stable one reads well in traces.
    tag = f"{zlib.crc32(call_id.encode()):08x}"
    # Written by hand, not by way of NameAddr: this runs once for each refresh of each mapping.
    items: list[tuple[str, HeaderValue]] = [
        ("Max-Forwards", _MAX_FORWARDS),
        ("From", f"<{account.aor}>;tag={tag}"),
        ("To", f"<{account.aor}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} REGISTER"),
        ("Contact", f"<{contact}>;expires={expires}" + ("" if instance is None else _outbound(instance, reg_id))),
        *[("Contact", f"<{uri}>;expires={expires}") for uri in also],
        *[("Contact", f"<{uri}>;expires=0") for uri in drop],
        ("Expires", str(expires)),
        ("Supported", "path" if instance is None else "path, outbound"),
    ]
    return Request("REGISTER", target, items)


def build_query(account: Account, *, call_id: str, cseq: int) -> Request:
    """Build a REGISTER that changes nothing: its 2xx lists all bindings (RFC 3261 section 10.2.3)."""
    request = build_register(account, target=account.registrar, call_id=call_id, cseq=cseq, contact="", expires=0)
    for name in ("Contact", "Expires"):
        request.headers.remove(name)
    return request


def _outbound(instance: str, reg_id: int) -> str:
    return f';reg-id={reg_id};+sip.instance="<{instance}>"'
