"""Session descriptions (RFC 8866) of PBXs and of browsers: read, write, offer and answer (RFC 3264).

Reading is total: any text gives a :class:`Session` or raises :class:`SdpError`. What is not understood survives a
round trip.
"""

from dialog_sip.sdp.candidate import Candidate
from dialog_sip.sdp.codec import Codec
from dialog_sip.sdp.negotiation import (
    answer_codecs,
    answer_direction,
    answer_session,
    decline,
    is_held,
    with_next_version,
)
from dialog_sip.sdp.reader import parse_sdp
from dialog_sip.sdp.session import Connection, Media, Origin, Session
from dialog_sip.sdp.text import SdpError
from dialog_sip.sdp.values import (
    Attribute,
    Crypto,
    Direction,
    ExtMap,
    Fingerprint,
    Group,
    Line,
    Setup,
    SsrcAttribute,
)
from dialog_sip.sdp.writer import write_sdp

__all__ = [
    "Attribute",
    "Candidate",
    "Codec",
    "Connection",
    "Crypto",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Group",
    "Line",
    "Media",
    "Origin",
    "SdpError",
    "Session",
    "Setup",
    "SsrcAttribute",
    "answer_codecs",
    "answer_direction",
    "answer_session",
    "decline",
    "is_held",
    "parse_sdp",
    "with_next_version",
    "write_sdp",
]
