"""A torture case: a message, what may be read in it, and what each kind of element makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dialog_sip import Capabilities, Drop, Refusal, Request, Response, admit
from dialog_sip.capabilities import KNOWN_METHODS
from dialog_sip.headers import Headers

ELEMENTS: Mapping[str, Capabilities] = {
    "agent": Capabilities(
        methods=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "MESSAGE", "REGISTER"),
        bodies=("application/sdp", "multipart/*"),
    ),
    "proxy": Capabilities(methods=tuple(sorted(KNOWN_METHODS)), forwards=True),
}
"""The kinds of element that a verdict is for. The agent registers phones too, so that it can judge a REGISTER."""


@dataclass(frozen=True)
class Answer:
    """The request is refused with this status, and with headers that hold these values."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([str(self.status), *(f"{name}: {value}" for name, value in self.headers.items())])


TAKEN = "taken"
DROPPED = "dropped"
Verdict = str | Answer


@dataclass(frozen=True)
class Case:
    """One message and its verdicts. ``reads`` are fields that can be read in spite of the trick, by path."""

    rfc: int
    section: str
    id: str
    trick: str
    message: bytes
    agent: Verdict
    reads: Mapping[str, object] = field(default_factory=dict)
    proxy: Verdict | None = None
    cut: int = 0
    """Bytes at the end of the datagram that are no part of the message."""
    note: str = ""
    """Why the verdict is this one of several that the RFC allows."""

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Kind of element -> verdict."""
        return {"agent": self.agent} | ({} if self.proxy is None else {"proxy": self.proxy})

    @property
    def is_well_formed(self) -> bool:
        """Whether the message can be read."""
        return bool(self.reads)


def wire(head: str, body: bytes = b"", *, end: str = "\r\n\r\n") -> bytes:
    """Return a message: lines of ``head`` with CRLF, ``LENGTH`` replaced by that of the body."""
    text = head.strip("\n").replace("\n", "\r\n").replace("LENGTH", str(len(body)))
    return (text + end).encode("utf-8", "surrogateescape") + body


def judge(data: bytes, element: str) -> tuple[Verdict, Request | Response | Refusal | Drop]:
    """Return what the library makes of the bytes."""
    found = admit(data, ELEMENTS[element])
    if isinstance(found, Refusal):
        return Answer(found.response.code), found
    return (DROPPED if isinstance(found, Drop) else TAKEN), found


def read(message: object, path: str) -> Any:
    """Follow a path such as ``vias|1|params|branch`` through attributes, items and headers."""
    value: Any = message
    for step in path.split("|"):
        if isinstance(value, Headers):
            value = value.get(step)
        elif step.isdigit():
            value = value[int(step)]
        elif isinstance(value, Mapping):
            value = value[step]
        elif step == "len":
            value = len(value)
        else:
            value = getattr(value, step)
    return value
