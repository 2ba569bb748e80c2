"""What is asked for again where a PBX finds the interval of a session timer too short (RFC 4028 section 7.3)."""

from __future__ import annotations

from dialog_sip import RemoteProtocolError, Request, Response
from dialog_sip.fields.session_expires import min_se_of, session_expires_of

from dialog_registrar.model.dress import retried

LONGEST = 86_400
"""Seconds; a PBX that wants more is not obeyed."""


def with_longer_interval(request: Request, response: Response) -> Request | None:
    """Return the request that follows a 422, with the next CSeq; None where another would be refused as well."""
    try:
        asked = session_expires_of(request)
    except RemoteProtocolError:
        return None
    least = min_se_of(response)
    if asked is None or least is None or not asked.interval < least <= LONGEST:
        return None
    again = retried(request)
    again.headers.set("Session-Expires", str(asked._replace(interval=least)))
    again.headers.set("Min-SE", least)
    return again
