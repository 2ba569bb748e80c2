"""Fax over UDPTL (ITU-T T.38 annex D, RFC 7345 for the protocol names): what ``m=image`` says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from dialog_sip.sdp.session import Media
from dialog_sip.sdp.text import SdpError, number
from dialog_sip.sdp.values import Attribute

_NUMBERS: Final = {
    "T38FaxVersion": "version",
    "T38MaxBitRate": "max_bit_rate",
    "T38FaxMaxBuffer": "max_buffer",
    "T38FaxMaxDatagram": "max_datagram",
    "T38FaxMaxIFP": "max_ifp",
}
_FLAGS: Final = {
    "T38FaxFillBitRemoval": "fill_bit_removal",
    "T38FaxTranscodingMMR": "transcoding_mmr",
    "T38FaxTranscodingJBIG": "transcoding_jbig",
}
_WORDS: Final = {"T38FaxRateManagement": "rate_management", "T38FaxUdpEC": "error_correction"}
_BY_LOWER: Final = {name.lower(): name for name in (*_NUMBERS, *_FLAGS, *_WORDS)}
MAX_BIT_RATE = 33_600
"""Bits a second of the fastest fax."""


@dataclass(frozen=True, slots=True)
class T38Parameters:
    """The attributes of a fax section (ITU-T T.38 section D.2.3.1); None: not said."""

    version: int = 0
    max_bit_rate: int | None = None
    """Bits per second."""
    fill_bit_removal: bool = False
    transcoding_mmr: bool = False
    transcoding_jbig: bool = False
    rate_management: str | None = None
    """``transferredTCF`` over UDP, ``localTCF`` over TCP."""
    max_buffer: int | None = None
    """Bytes."""
    max_datagram: int | None = None
    """Bytes."""
    max_ifp: int | None = None
    error_correction: str | None = None
    """``t38UDPRedundancy``, ``t38UDPFEC`` or ``t38UDPNoEC``."""

    def attributes(self) -> tuple[Attribute, ...]:
        """Return them as lines."""
        numbers = ((name, getattr(self, field)) for name, field in (_NUMBERS | _WORDS).items())
        flags = (Attribute(name) for name, field in _FLAGS.items() if getattr(self, field))
        return (*(Attribute(name, str(value)) for name, value in numbers if value is not None), *flags)


def is_fax(media: Media) -> bool:
    """Tell whether a section is T.38 (``image/t38`` of RFC 3362)."""
    return media.kind.lower() == "image" and any(name.lower() == "t38" for name in media.formats)


def t38_of(media: Media) -> T38Parameters:
    """Read the attributes of a fax section (ITU-T T.38 section D.2.3.1), however they are cased.

    What cannot be read counts as not said.
    Flags come as ``T38FaxFillBitRemoval``, ``...:0`` and ``...:1``: all are in use.
    """
    found: dict[str, object] = {}
    for name, value in media.attributes:
        known = _BY_LOWER.get(name.lower())
        if known in _FLAGS:
            found[_FLAGS[known]] = value != "0"
        elif known in _WORDS and value:
            found[_WORDS[known]] = value.strip()
        elif known in _NUMBERS and value is not None:
            _take_number(found, _NUMBERS[known], value)
    return T38Parameters(**found)  # type: ignore[arg-type]


def answer_t38(offered: T38Parameters, ours: T38Parameters) -> T38Parameters:
    """Return the answer: the lower version and rate, the flags of both, the offer's correction (section D.2.3.1)."""
    rates = [rate for rate in (offered.max_bit_rate, ours.max_bit_rate) if rate is not None]
    return replace(
        ours,
        version=min(offered.version, ours.version),
        max_bit_rate=min(rates, default=None),
        fill_bit_removal=offered.fill_bit_removal and ours.fill_bit_removal,
        transcoding_mmr=offered.transcoding_mmr and ours.transcoding_mmr,
        transcoding_jbig=offered.transcoding_jbig and ours.transcoding_jbig,
        rate_management=offered.rate_management or ours.rate_management,
        error_correction=offered.error_correction or ours.error_correction,
    )


def fax_section(port: int, parameters: T38Parameters) -> Media:
    """Return a fax section to offer, or to answer with (``image/t38`` of RFC 3362)."""
    return Media("image", port, "udptl", formats=("t38",), attributes=parameters.attributes())


def _take_number(found: dict[str, object], field: str, text: str) -> None:
    try:
        found[field] = number(text.strip(), 2**31)
    except SdpError:
        return
