"""Descriptions of the SIP side: plain RTP (RFC 3551) for one audio section, read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dialog_sip.sdp import (
    Codec,
    Connection,
    Direction,
    Media,
    Origin,
    SdpError,
    Session,
    answer_session,
    is_held,
    parse_sdp,
)

from dialog_bridge.adapters.media.codecs import is_audio
from dialog_bridge.adapters.media.latch import Address
from dialog_bridge.ports import MediaError

_PROFILES = frozenset({"RTP/AVP", "RTP/AVPF"})


@dataclass(frozen=True, slots=True)
class SipDescription:
    """What the PBX says: its one audio section that can be used."""

    session: Session
    index: int
    codecs: tuple[Codec, ...]
    rtp: Address | None
    """Where it wants RTP, the host perhaps a name; None on hold by ``c=0.0.0.0``."""
    rtcp: Address | None
    mux: bool
    direction: Direction
    """As the PBX says it: ``sends`` is that the PBX does."""
    ptime: int | None

    @classmethod
    def read(cls, sdp: bytes) -> SipDescription:
        """Read a description. Raises :class:`MediaError`: 400 where it cannot be read, 488 without usable audio."""
        try:
            session = parse_sdp(sdp)
        except SdpError as error:
            raise MediaError(400, f"the PBX's description cannot be read: {error}") from error
        index = next((i for i, media in enumerate(session.media) if _is_usable(media)), None)
        if index is None:
            raise MediaError(488, "the PBX offers no audio over RTP in a codec that is relayed")
        media = session.media[index]
        rtp, rtcp = _addresses(session, media)
        held = is_held(session, media)
        return cls(
            session=session,
            index=index,
            codecs=media.codecs,
            rtp=rtp,
            rtcp=rtcp,
            mux=media.rtcp_mux,
            direction=Direction.of(sends=session.direction_of(media).sends, receives=not held),
            ptime=media.ptime,
        )


@dataclass(frozen=True, slots=True)
class SipOffer:
    """What we say to the PBX. ``mux`` is only ever an answer to an offer of it (RFC 5761 section 5.1.1)."""

    address: str
    port: int
    codecs: tuple[Codec, ...]
    direction: Direction
    ptime: int | None = None
    mux: bool = False

    def session(self, origin: Origin, answered: SipDescription | None = None) -> Session:
        """Return it as an offer, or as the answer to ``answered``."""
        media = Media(
            kind="audio",
            port=self.port,
            codecs=self.codecs,
            direction=self.direction,
            ptime=self.ptime,
            rtcp_mux=self.mux,
        )
        connection = Connection.to(self.address)
        if answered is None:
            return Session(origin, (media,), connection=connection)
        theirs = answered.session.media[answered.index]
        accepted = replace(media, protocol=theirs.protocol, mid=theirs.mid)
        return answer_session(answered.session, origin, {answered.index: accepted}, connection)


def origin_at(address: str, session_id: int) -> Origin:
    """Return the origin of a first description."""
    return Origin(str(session_id), address=address, address_type="IP6" if ":" in address else "IP4")


def audio_of(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Return the audio codecs that are relayed."""
    return tuple(codec for codec in codecs if is_audio(codec))


def _is_usable(media: Media) -> bool:
    return (
        media.kind == "audio"
        and not media.is_declined
        and media.protocol.upper() in _PROFILES
        and bool(audio_of(media.codecs))
    )


def _addresses(session: Session, media: Media) -> tuple[Address | None, Address | None]:
    connection = session.connection_of(media)
    if connection is None or connection.is_nowhere:
        return None, None
    rtp = (connection.address, media.port)
    if media.rtcp_mux:
        return rtp, rtp
    return rtp, _rtcp_address(connection.address, media)


def _rtcp_address(host: str, media: Media) -> Address:
    # a=rtcp:53020 IN IP4 126.16.64.4 (RFC 3605); what cannot be read counts as absent.
    words = (media.rtcp or "").split()
    port = int(words[0]) if words and words[0].isascii() and words[0].isdecimal() and len(words[0]) <= 5 else 0
    if not 0 < port < 65536:
        return host, media.port + 1 if media.port < 65535 else media.port
    return (words[3] if len(words) >= 4 else host), port
