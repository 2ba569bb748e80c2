"""Refer-To, Referred-By and Refer-Sub: whom to call, for whom, with or without reports (RFC 3515, 3892, 4488)."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.fields.replaces import Replaces
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request
from dialog_sip.uri import SipUri
from dialog_sip.values import NameAddr

MAX_EMBEDDED = 16
"""Headers of a Refer-To URI that are read."""
_NOT_TAKEN: Final = frozenset({
    "via", "from", "to", "call-id", "cseq", "contact", "route", "record-route", "max-forwards", "content-length",
    "authorization", "proxy-authorization", "path", "supported", "allow", "user-agent",
})  # fmt: skip
"""Embedded headers that would forge the request (RFC 3261 section 19.1.5)."""


class ReferTarget(NamedTuple):
    """What Refer-To asks for (RFC 3515 section 2.1)."""

    uri: SipUri
    """Without method and embedded headers: fit to be a Request-URI."""
    method: str = "INVITE"
    replaces: Replaces | None = None
    """The SIP dialog at the target that the new one is to replace: an attended transfer (RFC 5589 section 7)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Other headers that the request is to have; those that would forge it are left out."""
    display_name: str = ""

    @classmethod
    def parse(cls, value: str) -> ReferTarget:
        """Read Refer-To. Raises :class:`RemoteProtocolError`, with status 416 for other schemes."""
        address = NameAddr.parse(value)
        uri = address.uri
        method = (uri.params.get("method") or "INVITE").upper()
        params = {name: param for name, param in uri.params.items() if name != "method"}
        embedded = _embedded(uri.headers)
        replaces = next((Replaces.parse(text) for name, text in embedded if name == "replaces"), None)
        others = tuple((name, text) for name, text in embedded if name != "replaces" and name not in _NOT_TAKEN)
        return cls(uri._replace(headers="", params=params), method, replaces, others, address.display_name)

    def __str__(self) -> str:
        pairs = list(self.headers)
        if self.replaces is not None:
            pairs.insert(0, ("Replaces", str(self.replaces)))
        headers = "&".join(f"{percent_encode(name, '')}={percent_encode(text, '')}" for name, text in pairs)
        params = self.uri.params if self.method == "INVITE" else {**self.uri.params, "method": self.method}
        return str(NameAddr.make(self.uri._replace(headers=headers, params=params), self.display_name))


def refer_target_of(request: Request) -> ReferTarget:
    """Return what a REFER asks for. Raises :class:`RemoteProtocolError`: one Refer-To, no more (RFC 3515 2.4.1)."""
    values = request.headers.get_all("Refer-To")
    if len(values) != 1:
        raise RemoteProtocolError("REFER has not one Refer-To", reason="Bad Refer-To", request=request)
    return ReferTarget.parse(values[0])


def referred_by_of(request: Request) -> NameAddr | None:
    """Return Referred-By, to be copied into the INVITE that follows (RFC 3892 section 3); None if it cannot be read."""
    value = request.headers.get("Referred-By")
    try:
        return None if value is None else NameAddr.parse(value)
    except RemoteProtocolError:
        return None


def wants_no_subscription(message: Message) -> bool:
    """Tell whether ``Refer-Sub: false`` is there (RFC 4488 section 4): no NOTIFY is wanted, or none will come."""
    value = message.headers.get("Refer-Sub")
    return value is not None and value.partition(";")[0].strip().lower() == "false"


def refer_headers(
    target: ReferTarget | str, *, referred_by: NameAddr | None = None, subscribe: bool = True
) -> list[tuple[str, HeaderValue]]:
    """Return the headers of a REFER (RFC 3515 section 2.4.1); ``target`` as :class:`ReferTarget`, or a URI."""
    refer_to = f"<{target}>" if isinstance(target, str) else str(target)
    headers: list[tuple[str, HeaderValue]] = [("Refer-To", refer_to)]
    if referred_by is not None:
        headers.append(("Referred-By", referred_by))
    if not subscribe:
        headers += [("Refer-Sub", "false"), ("Supported", "norefersub")]
    return headers


def _embedded(text: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split("&", MAX_EMBEDDED)[:MAX_EMBEDDED]] if text else []
    found = [(percent_decode(name).strip().lower(), percent_decode(value)) for name, _, value in pairs]
    if any("\r" in value or "\n" in value for _, value in found):
        raise RemoteProtocolError("a header within Refer-To holds a line break", reason="Bad Refer-To")
    return [(name, value) for name, value in found if name]
