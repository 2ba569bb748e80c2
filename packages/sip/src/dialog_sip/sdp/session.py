"""A session description (RFC 8866 section 5) as frozen dataclasses. Change one with :func:`dataclasses.replace`."""

from __future__ import annotations

from dataclasses import dataclass, field

from dialog_sip.sdp.candidate import Candidate
from dialog_sip.sdp.codec import Codec
from dialog_sip.sdp.text import number, words
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

_MAX_PORT = 65535
_RTCP_WORDS = 4
"""``port IN IP4 address``."""
_NO_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - an address that means hold, nobody listens on it


@dataclass(frozen=True, slots=True)
class Origin:
    """``o=``: who made the description, and which version of it this is (RFC 8866 section 5.2)."""

    session_id: str
    version: int = 0
    address: str = "127.0.0.1"
    username: str = "-"
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Read what follows ``o=``. Raises :class:`SdpError`."""
        username, session_id, version, network_type, address_type, address, *_ = words(text, 6)
        return cls(session_id, number(version), address, username, address_type, network_type)

    def __str__(self) -> str:
        return (
            f"{self.username} {self.session_id} {self.version} {self.network_type} {self.address_type} {self.address}"
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """``c=``: where media goes (RFC 8866 section 5.7)."""

    address: str
    """An IP address or a host name."""
    address_type: str = "IP4"
    network_type: str = "IN"
    suffix: str = ""
    """``/ttl`` and ``/count`` of multicast, as written."""

    @classmethod
    def parse(cls, text: str) -> Connection:
        """Read what follows ``c=``. Raises :class:`SdpError`."""
        network_type, address_type, where, *_ = words(text, 3)
        address, slash, rest = where.partition("/")
        return cls(address, address_type, network_type, slash + rest)

    @classmethod
    def to(cls, address: str) -> Connection:
        """Return the connection line for an IP address, of the type that it has."""
        return cls(address, "IP6" if ":" in address else "IP4")

    @property
    def is_name(self) -> bool:
        """Whether it is a host name, to be looked up before anything is sent (RFC 8866 section 5.7)."""
        return ":" not in self.address and not self.address.replace(".", "").isdigit()

    @property
    def is_nowhere(self) -> bool:
        """Whether this is the hold of RFC 2543: ``0.0.0.0``, or ``::``."""
        return self.address in _NO_ADDRESSES

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Media:
    """One media section (RFC 8866 section 5.14).

    What stands at the session instead is found by the ``*_of`` methods of :class:`Session`.
    """

    kind: str
    """``audio``, ``video``, ``image``, ``application``."""
    port: int
    """0: the section is declined (RFC 3264 section 6), or bundled only (RFC 9143) where ``bundle_only``."""
    protocol: str = "RTP/AVP"
    codecs: tuple[Codec, ...] = ()
    """In order of preference."""
    formats: tuple[str, ...] = ()
    """Formats that are no payload type: ``t38``, ``webrtc-datachannel``."""
    port_count: int = 1
    connection: Connection | None = None
    direction: Direction | None = None
    mid: str | None = None
    ice_ufrag: str | None = None
    ice_pwd: str | None = field(default=None, repr=False)
    ice_options: str | None = None
    candidates: tuple[Candidate, ...] = ()
    end_of_candidates: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    tls_id: str | None = None
    """Names the DTLS association (RFC 8842 section 4)."""
    cryptos: tuple[Crypto, ...] = ()
    feedback: tuple[str, ...] = ()
    """``rtcp-fb:*`` values, for every payload type (RFC 4585 section 4.2)."""
    rtcp: str | None = None
    """``a=rtcp``: port and perhaps address, as written (RFC 3605)."""
    rtcp_mux: bool = False
    rtcp_mux_only: bool = False
    """RTCP goes nowhere else (RFC 8858)."""
    rtcp_rsize: bool = False
    bundle_only: bool = False
    extmaps: tuple[ExtMap, ...] = ()
    ssrcs: tuple[SsrcAttribute, ...] = ()
    msid: str | None = None
    remote_candidates: str | None = None
    """The pairs that ICE chose, as written (RFC 8839 section 5.2)."""
    ice_mismatch: bool = False
    """The peer saw another address than the candidates say, and does without ICE (RFC 8839 section 5.4)."""
    ptime: int | None = None
    """Milliseconds."""
    maxptime: int | None = None
    """Milliseconds."""
    other: tuple[Line, ...] = ()
    """Lines other than ``a=`` that are kept as they came (``b=``, ``i=``...)."""
    attributes: tuple[Attribute, ...] = ()
    """Attributes that are kept as they came."""

    @property
    def is_declined(self) -> bool:
        """Whether nothing is sent either way (port 0)."""
        return self.port == 0 and not self.bundle_only

    @property
    def streams(self) -> tuple[Msid, ...]:
        """The MediaStreams that the section belongs to (RFC 8830); there may be several lines."""
        more = (value for name, value in self.attributes if name == "msid" and value)
        return tuple(Msid.parse(text) for text in (self.msid, *more) if text)

    @property
    def rtcp_address(self) -> tuple[int, str | None] | None:
        """Port, and address if there is one, of ``a=rtcp`` (RFC 3605); None where it is missing or unreadable."""
        words = (self.rtcp or "").split()
        if not words or not (words[0].isascii() and words[0].isdigit() and int(words[0][:6]) <= _MAX_PORT):
            return None
        return int(words[0]), words[3] if len(words) >= _RTCP_WORDS else None

    def feedback_of(self, codec: Codec) -> tuple[str, ...]:
        """Return the feedback of a payload type, with that for all (``rtcp-fb:*``)."""
        return (*codec.feedback, *(value for value in self.feedback if value not in codec.feedback))

    def codec(self, payload_type: int) -> Codec | None:
        """Return the codec of a payload type."""
        return next((codec for codec in self.codecs if codec.payload_type == payload_type), None)


@dataclass(frozen=True, slots=True)
class Session:
    """A session description (RFC 8866 section 5)."""

    origin: Origin
    media: tuple[Media, ...] = ()
    name: str = "-"
    connection: Connection | None = None
    direction: Direction | None = None
    groups: tuple[Group, ...] = ()
    ice_lite: bool = False
    ice_pacing: int | None = None
    """Milliseconds between connectivity checks (RFC 8839 section 5.7)."""
    ice_ufrag: str | None = None
    ice_pwd: str | None = field(default=None, repr=False)
    ice_options: str | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    tls_id: str | None = None
    other: tuple[Line, ...] = (Line("t", "0 0"),)
    """Lines other than ``a=`` that are kept as they came (``t=``, ``b=``, ``i=``...)."""
    attributes: tuple[Attribute, ...] = ()
    """Attributes that are kept as they came."""

    def connection_of(self, media: Media) -> Connection | None:
        """Return where the media of a section goes."""
        return media.connection or self.connection

    def direction_of(self, media: Media) -> Direction:
        """Return the direction of a section; ``sendrecv`` where nothing is said (RFC 8866 section 6.7)."""
        return media.direction or self.direction or Direction.SENDRECV

    def ice_of(self, media: Media) -> tuple[str, str] | None:
        """Return ``(ufrag, pwd)`` of a section; one without the other counts as none."""
        ufrag, pwd = media.ice_ufrag or self.ice_ufrag, media.ice_pwd or self.ice_pwd
        return (ufrag, pwd) if ufrag and pwd else None

    def fingerprints_of(self, media: Media) -> tuple[Fingerprint, ...]:
        """Return the DTLS fingerprints of a section."""
        return media.fingerprints or self.fingerprints

    def setup_of(self, media: Media) -> Setup:
        """Return the DTLS role of a section; ``active`` where nothing is said (RFC 4145 section 4)."""
        return media.setup or self.setup or Setup.ACTIVE

    def section(self, kind: str) -> Media | None:
        """Return the first section of a kind that is not declined."""
        return next((media for media in self.media if media.kind == kind and not media.is_declined), None)

    def bundled(self) -> tuple[str, ...]:
        """Return the mids of the first BUNDLE group."""
        return next((group.mids for group in self.groups if group.semantics == "BUNDLE"), ())

    def __str__(self) -> str:
        from dialog_sip.sdp.writer import write_sdp

        return write_sdp(self)
