"""What the bodies of SIP messages say, as far as a call needs it."""

from __future__ import annotations

import re

from dialog_sip import RemoteProtocolError
from dialog_sip.message import Message, Request
from dialog_sip.sdp import SdpError, is_held, parse_sdp

from dialog_bridge.model.inputs import Kind

DEFAULT_DIGIT_MS = 160
"""How long a key lasts whose INFO does not say."""

_SIGNAL = re.compile(rb"^\s*signal\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(rb"^\s*duration\s*=\s*(\d{1,5})", re.IGNORECASE | re.MULTILINE)
_DIGIT = re.compile(r"^[0-9*#A-D]$")
_STATUS = re.compile(rb"^SIP/2\.0 ([1-6])\d\d")


def sdp_of(message: Message) -> bytes | None:
    """Return the session description that a message carries; None for none, and for any other body."""
    if not message.body or _essence(message) not in {"", "application/sdp"}:
        return None
    return message.body


def puts_on_hold(sdp: bytes | None) -> bool:
    """Tell whether a description asks us to be quiet (RFC 3264 section 8.4). One that cannot be read does not."""
    if sdp is None:
        return False
    try:
        session = parse_sdp(sdp)
    except SdpError:
        return False
    audio = session.section("audio")
    return audio is not None and is_held(session, audio)


def digit_of(info: Request) -> tuple[str, int] | None:
    """Return key and milliseconds of an INFO with DTMF (``application/dtmf-relay``, ``application/dtmf``)."""
    essence = _essence(info)
    if essence == "application/dtmf":
        return _digit(info.body.strip(), DEFAULT_DIGIT_MS)
    if essence != "application/dtmf-relay":
        return None
    signal, duration = _SIGNAL.search(info.body), _DURATION.search(info.body)
    if signal is None:
        return None
    return _digit(signal[1], int(duration[1]) if duration else DEFAULT_DIGIT_MS)


def transfer_progress(notify: Request) -> Kind | None:
    """Return what a NOTIFY says of our REFER (RFC 3515 section 2.4.5); None where it says nothing of one."""
    event = (notify.headers.get("Event") or "").partition(";")[0].strip().lower()
    status = _STATUS.match(notify.body)
    if event != "refer" or status is None:
        return None
    if status[1] == b"1":
        return Kind.NOTIFY_TRYING
    return Kind.NOTIFY_DONE if status[1] == b"2" else Kind.NOTIFY_FAILED


def taken_elsewhere(cancel: Request) -> bool:
    """Tell whether a CANCEL says that another device answered (RFC 3326 section 2, ``cause=200``)."""
    reason = cancel.headers.get("Reason") or ""
    return reason.upper().startswith("SIP") and re.search(r";\s*cause\s*=\s*200\b", reason) is not None


def _essence(message: Message) -> str:
    try:
        kind = message.content_type
    except RemoteProtocolError:
        return "unreadable"
    return "" if kind is None else kind.essence


def _digit(text: bytes, milliseconds: int) -> tuple[str, int] | None:
    digit = text.decode("ascii", "replace").upper()
    return (digit, milliseconds) if _DIGIT.match(digit) else None
