"""States of a SIP dialog, as a table.

Theory of operation: an INVITE makes an early dialog with the first response between 101 and 199 that has a To tag, and
a confirmed one with a 2xx (RFC 3261 section 12.1). A final failure ends what is early and leaves what is confirmed: it
answers a re-INVITE there, which fails alone (section 14.1). BYE ends a dialog for whoever says it, before any answer
(section 15.1.1), and so does an answer from a peer that no longer knows the dialog (section 12.2.1.2). What is still in
flight when the end has come changes nothing. The table is the same for both roles.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class DialogState(StrEnum):
    """Where a SIP dialog stands (RFC 3261 section 12)."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class DialogEvent(StrEnum):
    """What moves it (RFC 3261 section 12). Responses are those to an INVITE, sent or received."""

    PROVISIONAL = "provisional"
    SUCCESS = "success"
    FAILURE = "failure"
    BYE = "bye"
    """Sent or received."""
    GONE = "gone"
    """481 or 408 came for a request in the dialog."""


_EARLY, _CONFIRMED, _TERMINATED = DialogState

TRANSITIONS: Final = {
    (_EARLY, DialogEvent.PROVISIONAL): _EARLY,
    (_EARLY, DialogEvent.SUCCESS): _CONFIRMED,
    (_EARLY, DialogEvent.FAILURE): _TERMINATED,
    (_EARLY, DialogEvent.BYE): _TERMINATED,
    (_EARLY, DialogEvent.GONE): _TERMINATED,
    (_CONFIRMED, DialogEvent.PROVISIONAL): _CONFIRMED,
    (_CONFIRMED, DialogEvent.SUCCESS): _CONFIRMED,
    (_CONFIRMED, DialogEvent.FAILURE): _CONFIRMED,
    (_CONFIRMED, DialogEvent.BYE): _TERMINATED,
    (_CONFIRMED, DialogEvent.GONE): _TERMINATED,
    **{(_TERMINATED, event): _TERMINATED for event in DialogEvent},
}
"""State and event -> the state after it."""


def event_of(code: int) -> DialogEvent:
    """Return what a response of this code to an INVITE is (RFC 3261 section 12.1)."""
    if code < 200:
        return DialogEvent.PROVISIONAL
    return DialogEvent.SUCCESS if code < 300 else DialogEvent.FAILURE
