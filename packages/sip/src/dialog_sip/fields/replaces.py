"""Replaces: a new INVITE that takes the place of a SIP dialog (RFC 3891)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, Protocol

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import parse_params
from dialog_sip.message import Message


class Replaceable(Protocol):
    """What a SIP dialog has to show to be matched (RFC 3891 section 3)."""

    @property
    def call_id(self) -> str:
        """Call-ID."""

    @property
    def local_tag(self) -> str:
        """Our tag."""

    @property
    def remote_tag(self) -> str | None:
        """The peer's; None for one of RFC 2543."""

    @property
    def is_early(self) -> bool:
        """Not answered yet."""

    @property
    def is_over(self) -> bool:
        """Ended."""

    @property
    def is_ours(self) -> bool:
        """Made by an INVITE of ours."""


class ReplaceVerdict(Enum):
    """What to do with an INVITE with Replaces (RFC 3891 section 3). The value is the status to answer, 0 to go on."""

    ACCEPT = 0
    """Answer it as the replaced one was answered, and end that one: BYE, or CANCEL where it is early."""
    NOT_FOUND = 481
    ENDED = 603
    NOT_EARLY = 486
    """``early-only``, and the SIP dialog is confirmed."""


class Replaces(NamedTuple):
    """The header's value (RFC 3891 section 6.1). Tags are seen from the one who gets it: ``to_tag`` is its own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> Replaces:
        """Read the value. Raises :class:`RemoteProtocolError`."""
        call_id, _, rest = value.partition(";")
        params = parse_params(rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        call_id = call_id.strip()
        if not call_id or not to_tag or not from_tag:
            raise RemoteProtocolError("Replaces without Call-ID, to-tag or from-tag")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    def matches(self, dialog: Replaceable) -> bool:
        """Tell whether it names this SIP dialog; tag ``0`` stands for a peer that has none (section 3)."""
        theirs = {self.from_tag} if self.from_tag != "0" else {self.from_tag, None}
        return (self.call_id, self.to_tag) == (dialog.call_id, dialog.local_tag) and dialog.remote_tag in theirs

    def __str__(self) -> str:
        flag = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{flag}"


def replaces_of(message: Message) -> Replaces | None:
    """Return Replaces of an INVITE (RFC 3891 section 3); None where there is none.

    Raises :class:`RemoteProtocolError`, to be answered with 400, where it is malformed or stands there twice.
    """
    values = message.headers.get_all("Replaces")
    if not values:
        return None
    if len(values) > 1 or message.headers.get("Join") is not None:
        raise RemoteProtocolError("more than one Replaces, or Replaces with Join", reason="Bad Replaces")
    return Replaces.parse(values[0])


def find_replaced(replaces: Replaces, dialogs: Iterable[Replaceable]) -> tuple[ReplaceVerdict, Replaceable | None]:
    """Find the SIP dialog that is to be replaced, and what to do (RFC 3891 section 3).

    An early one can be replaced only where we made it: nobody may take over a phone that rings before it is answered.
    """
    for dialog in dialogs:
        if not replaces.matches(dialog):
            continue
        if dialog.is_over:
            return ReplaceVerdict.ENDED, dialog
        if dialog.is_early:
            return (ReplaceVerdict.ACCEPT if dialog.is_ours else ReplaceVerdict.NOT_FOUND), dialog
        return (ReplaceVerdict.NOT_EARLY if replaces.early_only else ReplaceVerdict.ACCEPT), dialog
    return ReplaceVerdict.NOT_FOUND, None
