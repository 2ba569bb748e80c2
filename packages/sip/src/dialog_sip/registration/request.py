"""The REGISTER itself (RFC 3261 section 10.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request
from dialog_sip.registration.settings import Account
from dialog_sip.values import CSeq, NameAddr

_MAX_FORWARDS = 70


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
) -> Request:
    """Build a REGISTER without Via.

    ``drop``: Contacts of ours whose bindings go with it; ``expires`` 0 removes ``contact`` as well.
    """
    # The tag need not change (RFC 3261 section 10.2 asks for the same Call-ID), and a stable one reads well in traces.
    tag = f"{zlib.crc32(call_id.encode()):08x}"
    items: list[tuple[str, HeaderValue]] = [
        ("Max-Forwards", _MAX_FORWARDS),
        ("From", NameAddr.make(account.aor, tag=tag)),
        ("To", NameAddr.make(account.aor)),
        ("Call-ID", call_id),
        ("CSeq", CSeq(cseq, "REGISTER")),
        ("Contact", _contact(contact, expires, instance)),
        *(("Contact", NameAddr.make(uri, expires="0")) for uri in drop),
        ("Expires", expires),
        ("Supported", "path" if instance is None else "path, outbound"),
    ]
    return Request("REGISTER", target, items)


def _contact(uri: str, expires: int, instance: str | None) -> NameAddr:
    if instance is None:
        return NameAddr.make(uri, expires=str(expires))
    outbound = {"reg-id": "1", "+sip.instance": f'"<{instance}>"'}
    return NameAddr("", uri, {"expires": str(expires), **outbound})
