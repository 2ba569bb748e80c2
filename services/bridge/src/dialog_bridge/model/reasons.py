"""SIP status codes <-> end reasons of dialog's call API, each direction one table."""

from __future__ import annotations

from dialog_schemas.calls import EndReason

from dialog_bridge.model.inputs import MediaNews, MediaRefusal

REASON_OF_CODE: dict[int, EndReason] = {
    403: EndReason.REJECTED,
    404: EndReason.CALLEE_NOT_FOUND,
    408: EndReason.NO_ANSWER,
    410: EndReason.CALLEE_NOT_FOUND,
    416: EndReason.CALLEE_NOT_FOUND,
    433: EndReason.REJECTED,
    480: EndReason.NO_ANSWER,
    484: EndReason.CALLEE_NOT_FOUND,
    485: EndReason.CALLEE_NOT_FOUND,
    486: EndReason.BUSY,
    487: EndReason.NO_ANSWER,
    600: EndReason.BUSY,
    603: EndReason.REJECTED,
    604: EndReason.CALLEE_NOT_FOUND,
    607: EndReason.REJECTED,
    608: EndReason.REJECTED,
}
"""Final responses to an INVITE of ours (RFC 3261 section 21, RFC 5079, RFC 8197, RFC 8688). Any other is an error."""

CODE_OF_REASON: dict[EndReason, int] = {
    EndReason.NORMAL: 603,
    EndReason.BUSY: 486,
    EndReason.REJECTED: 603,
    EndReason.NO_ANSWER: 480,
    EndReason.CALLEE_NOT_FOUND: 404,
    EndReason.TRANSFER: 480,
    EndReason.PICKED_UP: 486,
    EndReason.CALLER_DISABLED: 403,
    EndReason.CALLEE_DISABLED: 403,
    EndReason.ERROR: 500,
}
"""What an INVITE of the PBX is answered with where the client does not take the call."""


def reason_of(code: int, *, local: bool) -> EndReason:
    """Return why a call ended that the PBX refused. A ``local`` response, the registrar's own, is always an error."""
    if local:
        return EndReason.ERROR
    return REASON_OF_CODE.get(code, EndReason.ERROR)


def media_failure(event: MediaNews | MediaRefusal) -> str:
    """Return the detail of a call that ended for its media, in words."""
    return f"media: {event.reason if isinstance(event, MediaRefusal) else event.text}"
