"""Whether a response belongs to the request whose branch it has (RFC 3261 sections 8.1.3.3 and 8.2.6.2).

A server copies From, Call-ID and CSeq. Most do so to the byte, which is looked for before anything is parsed.
"""

from __future__ import annotations

from typing import Final

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Response
from dialog_sip.parser import parse_message

_COPIED: Final = (b"\r\nFrom: ", b"\r\nCall-ID: ", b"\r\nCSeq: ")


def check_echo(response: Response, data: bytes, request: bytes) -> None:
    """Check a response, ``data`` as it came, against the ``request`` that we wrote (RFC 3261 section 8.2.6.2).

    Raises :class:`RemoteProtocolError` where the one is no answer to the other.
    """
    for name in _COPIED:
        start = request.find(name)
        if request[start : request.find(b"\r\n", start + 2) + 2] not in data:
            _compare(response, request)
            return


def _compare(response: Response, request: bytes) -> None:
    asked = parse_message(request)
    if response.call_id != asked.call_id:
        raise RemoteProtocolError("a response with the Call-ID of another request")
    if response.cseq != asked.cseq:
        raise RemoteProtocolError("a response with the CSeq of another request")
    if response.from_.tag != asked.from_.tag:
        raise RemoteProtocolError("a response with the From of another request")
