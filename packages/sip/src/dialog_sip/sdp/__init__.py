"""Session descriptions (RFC 8866 section 5) of PBXs and of browsers: read, write, offer and answer (RFC 3264).

Reading is total: any text gives a :class:`Session` or raises :class:`SdpError`. What is not understood survives a
round trip.
"""

from dialog_sip.sdp.bundle import BundlePolicy, answer_bundle, is_bundled, offer_bundle, transport_of
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
from dialog_sip.sdp.sdes import CryptoKey, answer_crypto, keys_of, make_crypto, matching_crypto, offer_cryptos
from dialog_sip.sdp.session import Connection, Media, Origin, Session
from dialog_sip.sdp.t38 import T38Parameters, answer_t38, fax_section, is_fax, t38_of
from dialog_sip.sdp.telephone_event import event_codec, event_codec_for, events_of, is_telephone_event
from dialog_sip.sdp.text import SdpError
from dialog_sip.sdp.values import (
    Attribute,
    Crypto,
    Direction,
    ExtMap,
    Fingerprint,
    Group,
    Line,
    Msid,
    Setup,
    SsrcAttribute,
)
from dialog_sip.sdp.writer import write_sdp

__all__ = [
    "Attribute",
    "BundlePolicy",
    "Candidate",
    "Codec",
    "Connection",
    "Crypto",
    "CryptoKey",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Group",
    "Line",
    "Media",
    "Msid",
    "Origin",
    "SdpError",
    "Session",
    "Setup",
    "SsrcAttribute",
    "T38Parameters",
    "answer_bundle",
    "answer_codecs",
    "answer_crypto",
    "answer_direction",
    "answer_session",
    "answer_t38",
    "decline",
    "event_codec",
    "event_codec_for",
    "events_of",
    "fax_section",
    "is_bundled",
    "is_fax",
    "is_held",
    "is_telephone_event",
    "keys_of",
    "make_crypto",
    "matching_crypto",
    "offer_bundle",
    "offer_cryptos",
    "parse_sdp",
    "t38_of",
    "transport_of",
    "with_next_version",
    "write_sdp",
]
