"""Event and Subscription-State (RFC 6665 section 8.2), and the bodies that report on a REFER (RFC 3515 2.4.5)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import NO_PARAMS, Params, format_params, is_token, parse_params
from dialog_sip.message import Message
from dialog_sip.status import phrase_of
from dialog_sip.values import parse_seconds

SIPFRAG = "message/sipfrag;version=2.0"
"""Content-Type of a report (RFC 3420)."""

_STATUS_LINE = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9][0-9])[ \t]*([^\r\n]{0,256})", re.IGNORECASE)


class Substate(StrEnum):
    """How a subscription stands (RFC 6665 section 4.1.3)."""

    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class EventPackage(NamedTuple):
    """The Event header (RFC 6665 section 8.2.1): ``refer;id=93809824``."""

    package: str
    id: str | None = None

    @classmethod
    def parse(cls, value: str) -> EventPackage:
        """Read the value. Raises :class:`RemoteProtocolError`, to be answered with 489."""
        package, _, rest = value.partition(";")
        package = package.strip()
        if not is_token(package):
            raise RemoteProtocolError("Event names no package", status=489, reason="Bad Event")
        return cls(package.lower(), parse_params(rest).get("id"))

    def __str__(self) -> str:
        return self.package if self.id is None else f"{self.package};id={self.id}"


class SubscriptionState(NamedTuple):
    """The Subscription-State header (RFC 6665 section 8.2.3)."""

    state: Substate
    expires: int | None = None
    """Seconds."""
    reason: str | None = None
    """Why it ended: ``noresource``, ``timeout``, ``rejected``, ``deactivated``, ``probation``, ``giveup``."""
    retry_after: int | None = None

    @classmethod
    def parse(cls, value: str) -> SubscriptionState:
        """Read the value; a state that is not known counts as active. Raises :class:`RemoteProtocolError`."""
        name, _, rest = value.partition(";")
        name = name.strip().lower()
        if not is_token(name):
            raise RemoteProtocolError("Subscription-State is empty", reason="Bad Subscription-State")
        state = Substate(name) if name in set(Substate) else Substate.ACTIVE
        params: Params = parse_params(rest) if rest else NO_PARAMS
        return cls(
            state, parse_seconds(params.get("expires")), params.get("reason"), parse_seconds(params.get("retry-after"))
        )

    def __str__(self) -> str:
        params: dict[str, str | None] = {}
        for name, value in (("expires", self.expires), ("reason", self.reason), ("retry-after", self.retry_after)):
            if value is not None:
                params[name] = str(value)
        return self.state.value + format_params(params)


class Progress(NamedTuple):
    """How far the referred call is (RFC 3515 section 2.4.5)."""

    code: int
    phrase: str = ""

    @property
    def is_final(self) -> bool:
        """Nothing will follow."""
        return self.code >= 200

    def fragment(self) -> bytes:
        """Return the body of a NOTIFY that says so."""
        return f"SIP/2.0 {self.code} {self.phrase or phrase_of(self.code)}\r\n".encode()


def progress_of(message: Message) -> Progress | None:
    """Return what a NOTIFY of a REFER reports (RFC 3515 section 2.4.5); None for a body that says nothing of it."""
    content = message.content_type
    found = _STATUS_LINE.match(message.body.lstrip())
    if found is None or content is None or content.essence != "message/sipfrag":
        return None
    return Progress(int(found.group(1)), found.group(2).decode("utf-8", "replace").strip())
