"""The values of SDP attributes (RFC 8866 section 6), each with its own reader (``parse``) and writer (``str()``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from dialog_sip.sdp.text import SdpError, number, token, words


class Line(NamedTuple):
    """A line that is kept as it came: its letter, and what follows ``=`` (RFC 8866 section 5)."""

    type: str
    value: str


class Attribute(NamedTuple):
    """``a=name`` or ``a=name:value`` that nobody here reads (RFC 8866 section 5.13)."""

    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> Attribute:
        """Split what follows ``a=``. Any text is an attribute."""
        name, colon, value = text.partition(":")
        return cls(name, value if colon else None)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


class Direction(StrEnum):
    """Which way media flows, seen from who says it (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """Return the direction of one who sends and receives so."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether the speaker sends."""
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        """Whether the speaker receives."""
        return self in {Direction.SENDRECV, Direction.RECVONLY}

    @property
    def reversed(self) -> Direction:
        """The same flow seen from the other side."""
        return Direction.of(sends=self.receives, receives=self.sends)


class Setup(StrEnum):
    """Who opens the DTLS association (RFC 4145 section 4, RFC 5763 section 5)."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"
    HOLDCONN = "holdconn"

    @property
    def answer(self) -> Setup:
        """The role to answer with; to ``actpass`` it is ``active`` (RFC 8842 section 5.3)."""
        return _SETUP_ANSWERS[self]


_SETUP_ANSWERS = {
    Setup.ACTPASS: Setup.ACTIVE,
    Setup.ACTIVE: Setup.PASSIVE,
    Setup.PASSIVE: Setup.ACTIVE,
    Setup.HOLDCONN: Setup.HOLDCONN,
}


class Fingerprint(NamedTuple):
    """Hash of a DTLS certificate (RFC 8122 section 5)."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read ``sha-256 AB:CD:...``. Raises :class:`SdpError`."""
        algorithm, value, *_ = words(text, 2)
        return cls(algorithm.lower(), value.upper())

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


class Group(NamedTuple):
    """Media sections that belong together (RFC 5888), such as ``BUNDLE 0 1`` (RFC 9143)."""

    semantics: str
    mids: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Group:
        """Read ``BUNDLE 0 1``. Raises :class:`SdpError`."""
        semantics, *mids = words(text, 1)
        return cls(semantics, tuple(mids))

    def __str__(self) -> str:
        return " ".join((self.semantics, *self.mids))


class ExtMap(NamedTuple):
    """An RTP header extension (RFC 8285 section 5)."""

    id: int
    uri: str
    direction: str | None = None
    parameters: str = ""

    @classmethod
    def parse(cls, text: str) -> ExtMap:
        """Read ``3/sendonly urn:... parameters``. Raises :class:`SdpError`."""
        head, uri, *parameters = words(text, 2)
        local, slash, direction = head.partition("/")
        return cls(number(local, 65535), uri, direction if slash else None, " ".join(parameters))

    def __str__(self) -> str:
        head = str(self.id) if self.direction is None else f"{self.id}/{self.direction}"
        return " ".join(filter(None, (head, self.uri, self.parameters)))


class SsrcAttribute(NamedTuple):
    """An attribute of one RTP source (RFC 5576 section 4.1): ``1234 cname:abc``."""

    ssrc: int
    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> SsrcAttribute:
        """Read ``1234 cname:abc``. Raises :class:`SdpError`."""
        ssrc, _, rest = text.partition(" ")
        return cls(number(ssrc, 2**32 - 1), *Attribute.parse(rest))

    def __str__(self) -> str:
        return f"{self.ssrc} {Attribute(self.name, self.value)}"


class Msid(NamedTuple):
    """To which MediaStream a section belongs (RFC 8830 section 2)."""

    stream: str
    """``-``: to none."""
    track: str | None = None

    @classmethod
    def parse(cls, text: str) -> Msid:
        """Read ``stream track``. Any text with a word in it is one."""
        stream, _, track = text.strip().partition(" ")
        return cls(stream, track.strip() or None)

    def __str__(self) -> str:
        return self.stream if self.track is None else f"{self.stream} {self.track}"


@dataclass(frozen=True, slots=True)
class Crypto:
    """An SDES key (RFC 4568 section 4). The key stays out of ``repr``."""

    tag: int
    suite: str
    keys: str = field(repr=False)
    """``inline:<base64>|lifetime|mki``, one or more."""
    parameters: str = ""

    @classmethod
    def parse(cls, text: str) -> Crypto:
        """Read ``1 AES_CM_128_HMAC_SHA1_80 inline:...``. Raises :class:`SdpError`."""
        parts = text.split()
        # The words of the error must not carry the key.
        if len(parts) < 3 or not parts[0].isdigit():
            raise SdpError("a=crypto is not readable")
        return cls(number(parts[0], 999_999_999), token(parts[1]), parts[2], " ".join(parts[3:]))

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.tag), self.suite, self.keys, self.parameters)))
