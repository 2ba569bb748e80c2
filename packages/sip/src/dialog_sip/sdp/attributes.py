"""Which attribute (RFC 8866 section 6) lands in which field: a table for each level, for reader and writer.

An attribute that its reader refuses, or that comes a second time where one is allowed, is no error: it is kept as it
came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dialog_sip.sdp.candidate import Candidate
from dialog_sip.sdp.text import number, token
from dialog_sip.sdp.values import Crypto, Direction, ExtMap, Fingerprint, Group, Setup, SsrcAttribute


class Rule(NamedTuple):
    """How one attribute is kept (RFC 8866 section 6). ``read`` raises :class:`ValueError` for what it cannot read."""

    attribute: str
    field: str
    read: Callable[[str], object] | None = None
    """None: a flag, with no value."""
    many: bool = False


def _filled(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


_TRANSPORT_RULES = (
    Rule("ice-ufrag", "ice_ufrag", token),
    Rule("ice-pwd", "ice_pwd", token),
    Rule("ice-options", "ice_options", _filled),
    Rule("fingerprint", "fingerprints", Fingerprint.parse, many=True),
    Rule("setup", "setup", Setup),
    Rule("tls-id", "tls_id", token),
)
SESSION_RULES = (
    Rule("group", "groups", Group.parse, many=True),
    Rule("ice-lite", "ice_lite"),
    Rule("ice-pacing", "ice_pacing", lambda text: number(text, 10_000)),
    *_TRANSPORT_RULES,
)
"""Those of the session level."""
MEDIA_RULES = (
    Rule("rtcp", "rtcp", _filled),
    *_TRANSPORT_RULES,
    Rule("mid", "mid", token),
    Rule("extmap", "extmaps", ExtMap.parse, many=True),
    Rule("msid", "msid", _filled),
    Rule("bundle-only", "bundle_only"),
    Rule("rtcp-mux", "rtcp_mux"),
    Rule("rtcp-mux-only", "rtcp_mux_only"),
    Rule("rtcp-rsize", "rtcp_rsize"),
    Rule("crypto", "cryptos", Crypto.parse, many=True),
    Rule("ptime", "ptime", lambda text: number(text, 65535)),
    Rule("maxptime", "maxptime", lambda text: number(text, 65535)),
    Rule("ssrc", "ssrcs", SsrcAttribute.parse, many=True),
    Rule("candidate", "candidates", Candidate.parse, many=True),
    Rule("remote-candidates", "remote_candidates", _filled),
    Rule("ice-mismatch", "ice_mismatch"),
    Rule("end-of-candidates", "end_of_candidates"),
)
"""Those of a media section."""
DIRECTIONS = frozenset(direction.value for direction in Direction)
"""Names of the attributes that are directions (RFC 8866 section 6.7)."""
