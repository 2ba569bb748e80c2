"""Session-Expires and Min-SE (RFC 4028 sections 4 and 5)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import parse_params
from dialog_sip.message import Message
from dialog_sip.values import parse_seconds


class Refresher(StrEnum):
    """Who refreshes, seen from the transaction that agreed on it (RFC 4028 section 4)."""

    UAC = "uac"
    UAS = "uas"


_REFRESHERS = {refresher.value: refresher for refresher in Refresher}


class SessionExpires(NamedTuple):
    """The header's value (RFC 4028 section 4)."""

    interval: int
    """Seconds."""
    refresher: Refresher | None = None

    @classmethod
    def parse(cls, value: str) -> SessionExpires:
        """Read the value. Raises :class:`RemoteProtocolError`."""
        number, _, rest = value.partition(";")
        interval = parse_seconds(number.strip())
        if interval is None:
            raise RemoteProtocolError("Session-Expires is no number", reason="Bad Session-Expires")
        who = (parse_params(rest).get("refresher") or "").lower()
        return cls(interval, _REFRESHERS.get(who))

    def __str__(self) -> str:
        return str(self.interval) if self.refresher is None else f"{self.interval};refresher={self.refresher}"


def session_expires_of(message: Message) -> SessionExpires | None:
    """Return Session-Expires (RFC 4028 section 4); None where it is missing. Raises :class:`RemoteProtocolError`."""
    value = message.headers.get("Session-Expires")
    return None if value is None else SessionExpires.parse(value)


def min_se_of(message: Message) -> int | None:
    """Return Min-SE (RFC 4028 section 5) in seconds; None where it is missing or malformed."""
    value = message.headers.get("Min-SE")
    return None if value is None else parse_seconds(value.partition(";")[0].strip())
