"""Descriptions of the client's side (RFC 8829, JSEP): one audio section over DTLS-SRTP and ICE, read and written.

A client may offer more (video, a second audio section, with BUNDLE or without). One audio section is taken, the rest is
declined with port 0. Ours hold all candidates, so that a client which does not trickle can use them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dialog_sip.sdp import (
    Attribute,
    Candidate,
    Codec,
    Connection,
    Direction,
    Group,
    Media,
    Origin,
    SdpError,
    Session,
    Setup,
    SsrcAttribute,
    answer_direction,
    answer_session,
    parse_sdp,
)

from dialog_bridge.adapters.media.codecs import is_audio
from dialog_bridge.adapters.media.web_leg import LocalTransport, RemoteTransport
from dialog_bridge.ports import MediaError

_PROTOCOL = "UDP/TLS/RTP/SAVPF"
_PROTOCOLS = frozenset({_PROTOCOL, "UDP/TLS/RTP/SAVP", "RTP/SAVPF"})
_NO_CANDIDATE_PORT = 9
"""RFC 8840 section 4.1.1."""


@dataclass(frozen=True, slots=True)
class WebDescription:
    """What the client says: its one audio section that can be used."""

    session: Session
    index: int
    codecs: tuple[Codec, ...]
    transport: RemoteTransport
    setup: Setup
    candidates: tuple[Candidate, ...]
    direction: Direction
    """As the client says it: ``sends`` is that the client does."""
    mid: str | None
    ptime: int | None

    @classmethod
    def read(cls, sdp: str) -> WebDescription:
        """Read a description. Raises :class:`MediaError`: 400 where it cannot be read, 488 without usable audio."""
        try:
            session = parse_sdp(sdp)
        except SdpError as error:
            raise MediaError(400, f"the client's description cannot be read: {error}") from error
        index = next((i for i, media in enumerate(session.media) if _is_usable(media)), None)
        if index is None:
            raise MediaError(488, "the client has no audio over DTLS-SRTP in a codec that is relayed")
        media = session.media[index]
        return cls(
            session=session,
            index=index,
            codecs=media.codecs,
            transport=_transport(session, media),
            setup=session.setup_of(media),
            candidates=media.candidates,
            direction=session.direction_of(media),
            mid=media.mid,
            ptime=media.ptime,
        )


@dataclass(frozen=True, slots=True)
class WebSource:
    """Our RTP source as the client sees it: what its ``track`` event is made of."""

    ssrc: int
    cname: str
    """Also the name of the stream and of its track."""

    def attributes(self) -> tuple[SsrcAttribute, ...]:
        """Return the ``a=ssrc`` lines (RFC 5576)."""
        return (SsrcAttribute(self.ssrc, "cname", self.cname), SsrcAttribute(self.ssrc, "msid", self.msid))

    @property
    def msid(self) -> str:
        """The stream and the track (RFC 8830)."""
        return f"{self.cname} {self.cname}-audio"


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What we say to the client."""

    local: LocalTransport
    source: WebSource
    codecs: tuple[Codec, ...]
    ptime: int | None = None

    def offer(self, origin: Origin) -> Session:
        """Return an offer with one section, ``mid`` 0."""
        media = replace(self._media(Setup.ACTPASS), mid="0", direction=Direction.SENDRECV)
        return self._session(Session(origin, (media,), groups=(Group("BUNDLE", ("0",)),)))

    def answer(self, origin: Origin, offered: WebDescription, setup: Setup) -> Session:
        """Return the answer to ``offered``."""
        media = replace(
            self._media(setup),
            mid=offered.mid,
            direction=answer_direction(offered.direction),
            protocol=offered.session.media[offered.index].protocol,
        )
        return self._session(answer_session(offered.session, origin, {offered.index: media}))

    def _session(self, session: Session) -> Session:
        return replace(session, attributes=(Attribute("msid-semantic", f" WMS {self.source.cname}"),))

    def _media(self, setup: Setup) -> Media:
        host, port = _default_address(self.local.candidates)
        return Media(
            kind="audio",
            port=port,
            protocol=_PROTOCOL,
            codecs=self.codecs,
            connection=Connection.to(host),
            ice_ufrag=self.local.ufrag,
            ice_pwd=self.local.pwd,
            candidates=self.local.candidates,
            end_of_candidates=True,
            fingerprints=(self.local.fingerprint,),
            setup=setup,
            rtcp_mux=True,
            msid=self.source.msid,
            ssrcs=self.source.attributes(),
            ptime=self.ptime,
        )


def _is_usable(media: Media) -> bool:
    return (
        media.kind == "audio"
        and not media.is_declined
        and media.protocol.upper() in _PROTOCOLS
        and any(is_audio(codec) for codec in media.codecs)
    )


def _transport(session: Session, media: Media) -> RemoteTransport:
    ice, fingerprints = session.ice_of(media), session.fingerprints_of(media)
    if ice is None:
        raise MediaError(400, "the client's description has no ICE credentials")
    if not fingerprints:
        raise MediaError(400, "the client's description has no DTLS fingerprint")
    if not media.rtcp_mux:
        raise MediaError(488, "the client does not multiplex RTCP (rtcpMuxPolicy is require)")
    return RemoteTransport(*ice, fingerprints, lite=session.ice_lite)


def _default_address(candidates: tuple[Candidate, ...]) -> tuple[str, int]:
    # The most likely to work is a relayed one, then a reflexive one (RFC 8839 section 4.2.1.2).
    default = min(candidates, key=lambda candidate: candidate.priority, default=None)
    return ("0.0.0.0", _NO_CANDIDATE_PORT) if default is None else (default.address, default.port)  # noqa: S104
