"""Reason: why a request or a response was sent (RFC 3326), with the causes of Q.850 (RFC 3398, RFC 8606)."""

from __future__ import annotations

from typing import Final, NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import format_params, is_token, parse_params, quote, readable, unquote
from dialog_sip.message import Message

SIP = "SIP"
"""Protocol of a cause that is a SIP status (RFC 3326 section 2)."""
Q850 = "Q.850"
"""Protocol of a cause of ISDN."""

_STATUS_OF_CAUSE: Final = {
    1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502, 28: 484,
    29: 501, 31: 480, 34: 503, 38: 503, 41: 503, 42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488,
    79: 501, 87: 403, 88: 503, 102: 504, 111: 500, 127: 500,
}  # fmt: skip
"""Q.850 cause -> status code (RFC 3398 section 7.2.4.1)."""

_CAUSE_OF_STATUS: Final = {
    400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127,
    415: 79, 416: 127, 420: 127, 421: 127, 423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17,
    487: 16, 488: 65, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1,
    606: 31,
}  # fmt: skip
"""Status code -> Q.850 cause (RFC 3398 section 8.2.6.1; 488 and 606 by RFC 3398's own classes)."""


class Reason(NamedTuple):
    """One value of the header (RFC 3326 section 2)."""

    protocol: str
    """``SIP``: the cause is a status code; ``Q.850``: one of the telephone network."""
    cause: int | None = None
    text: str = ""
    """For people only."""

    @classmethod
    def parse(cls, value: str) -> Reason:
        """Read one value (not a list). Raises :class:`RemoteProtocolError`."""
        protocol, _, rest = value.partition(";")
        protocol = protocol.strip()
        if not is_token(protocol):
            raise RemoteProtocolError("Reason without a protocol")
        params = parse_params(rest)
        cause = params.get("cause") or ""
        number = int(cause) if cause.isdigit() and cause.isascii() and len(cause) <= 5 else None
        return cls(protocol, number, readable(unquote(params.get("text") or "")))

    @property
    def status(self) -> int | None:
        """The cause as a SIP status code, where it has a meaning there (RFC 3398 section 7.2.4.1)."""
        if self.cause is None:
            return None
        if self.protocol.upper() == SIP:
            return self.cause if 100 <= self.cause <= 699 else None
        return _STATUS_OF_CAUSE.get(self.cause) if self.protocol.upper() == Q850 else None

    def __str__(self) -> str:
        params: dict[str, str | None] = {} if self.cause is None else {"cause": str(self.cause)}
        if self.text:
            params["text"] = quote(self.text)
        return self.protocol + format_params(params)


PICKED_UP: Final = Reason(SIP, 200, "Call completed elsewhere")
"""For the CANCEL of the other branches once one phone answered: no missed call there (RFC 3326 section 2)."""


def reasons_of(message: Message) -> tuple[Reason, ...]:
    """Return every Reason of a message (RFC 3326 section 2).

    What cannot be read is left out, for nothing depends on it.
    """
    found: list[Reason] = []
    try:
        values = message.headers.get_list("Reason")
    except RemoteProtocolError:
        return ()
    for value in values:
        try:
            found.append(Reason.parse(value))
        except RemoteProtocolError:
            continue
    return tuple(found)


def is_picked_up_elsewhere(message: Message) -> bool:
    """Tell whether a CANCEL or BYE comes because another phone answered (RFC 3326 section 3.1)."""
    return any(reason.protocol.upper() == SIP and reason.cause == 200 for reason in reasons_of(message))


def cause_of(status: int) -> int | None:
    """Return the Q.850 cause of a failure (RFC 3398 section 8.2.6.1)."""
    return _CAUSE_OF_STATUS.get(status)
