"""Who calls whom, as an INVITE of the PBX says it."""

from __future__ import annotations

from hashlib import blake2b

from dialog_sip import NameAddr, RemoteProtocolError, Request

from dialog_bridge.model.inputs import Caller
from dialog_bridge.model.targets import number_of

MAX_TEXT = 512
"""Of a name or URI that goes to the client; a peer chooses how long they are."""


def caller_of(invite: Request) -> Caller:
    """Return the caller. What the PBX asserts (RFC 3325) goes before From. Raises :class:`RemoteProtocolError`."""
    caller = _asserted(invite) or invite.from_
    return Caller(
        from_uri=caller.uri_text[:MAX_TEXT],
        from_number=number_of(caller.uri_text)[:MAX_TEXT],
        from_name=caller.display_name[:MAX_TEXT],
        to_uri=invite.to.uri_text[:MAX_TEXT],
    )


def call_id_of(invite: Request, aor: str) -> str:
    """Return the messenger's call id for an INVITE: the same wherever and however often it is delivered."""
    parts = (invite.call_id, invite.from_.tag or "", str(invite.cseq.number), aor)
    return blake2b("\0".join(parts).encode(errors="replace"), digest_size=16).hexdigest()


def _asserted(invite: Request) -> NameAddr | None:
    text = invite.headers.get("P-Asserted-Identity")
    if not text:
        return None
    try:
        return NameAddr.parse(text)
    except RemoteProtocolError:
        return None
