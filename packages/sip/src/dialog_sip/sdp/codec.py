"""Codecs: payload types with their rtpmap, fmtp and rtcp-fb (RFC 8866 section 6.6, RFC 4585 section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_sip.sdp.text import SdpError, number, words

MAX_PAYLOAD_TYPE = 127
"""RTP has seven bits for it (RFC 3550 section 5.1)."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a media section (RFC 8866 sections 6.6 and 6.15)."""

    payload_type: int
    name: str = ""
    """Encoding name as it was written; empty for a dynamic payload type that came without rtpmap."""
    clock_rate: int = 0
    """Hz."""
    channels: int = 1
    fmtp: str = ""
    """Format parameters as they were written."""
    feedback: tuple[str, ...] = ()
    """``rtcp-fb`` values: ``nack pli``, ``transport-cc``..."""

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes two codecs the same: name without case, clock rate, channels."""
        return (self.name.lower(), self.clock_rate, self.channels)

    @property
    def parameters(self) -> dict[str, str]:
        """``fmtp`` as name -> value (names in lower case); a parameter without value is empty."""
        pairs = (part.strip().partition("=") for part in self.fmtp.split(";"))
        return {name.strip().lower(): value.strip() for name, _, value in pairs if name}

    @property
    def rtpmap(self) -> str:
        """The value of ``a=rtpmap`` without the payload type."""
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.name}/{self.clock_rate}{channels}"


def parse_rtpmap(text: str) -> Codec:
    """Read ``111 opus/48000/2`` (RFC 8866 section 6.6). Raises :class:`SdpError`."""
    payload_type, encoding, *_ = words(text, 2)
    name, _, rest = encoding.partition("/")
    clock_rate, _, channels = rest.partition("/")
    if not name:
        raise SdpError("a=rtpmap without a name")
    return Codec(
        number(payload_type, MAX_PAYLOAD_TYPE), name, number(clock_rate, 2**32 - 1), number(channels or "1", 255) or 1
    )


STATIC_CODECS = {
    codec.payload_type: codec
    for codec in (
        Codec(0, "PCMU", 8000),
        Codec(3, "GSM", 8000),
        Codec(4, "G723", 8000),
        Codec(5, "DVI4", 8000),
        Codec(6, "DVI4", 16000),
        Codec(7, "LPC", 8000),
        Codec(8, "PCMA", 8000),
        Codec(9, "G722", 8000),
        Codec(10, "L16", 44100, 2),
        Codec(11, "L16", 44100),
        Codec(12, "QCELP", 8000),
        Codec(13, "CN", 8000),
        Codec(14, "MPA", 90000),
        Codec(15, "G728", 8000),
        Codec(16, "DVI4", 11025),
        Codec(17, "DVI4", 22050),
        Codec(18, "G729", 8000),
        Codec(25, "CelB", 90000),
        Codec(26, "JPEG", 90000),
        Codec(28, "nv", 90000),
        Codec(31, "H261", 90000),
        Codec(32, "MPV", 90000),
        Codec(33, "MP2T", 90000),
        Codec(34, "H263", 90000),
    )
}
"""Payload types that mean something without rtpmap (RFC 3551 section 6)."""
