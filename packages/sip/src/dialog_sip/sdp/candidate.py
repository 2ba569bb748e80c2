"""ICE candidates (RFC 8839 section 5.1), as SDP and trickled candidates (RFC 8840) write them."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_sip.sdp.text import SdpError, number, words

_FIXED_FIELDS = 8
_PREFIX = "candidate:"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address where media may be sent (RFC 8839 section 5.1)."""

    foundation: str
    component: int
    """1 is RTP, 2 is RTCP."""
    transport: str
    """``udp`` or ``tcp``, in lower case."""
    priority: int
    address: str
    """An IP address, or a name such as ``....local`` (mDNS)."""
    port: int
    type: str
    """``host``, ``srflx``, ``prflx`` or ``relay``."""
    related_address: str | None = None
    related_port: int | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    """What follows in pairs: ``tcptype``, ``generation``, ``ufrag``..."""

    @classmethod
    def parse(cls, text: str) -> Candidate:
        """Read ``1 1 udp 2130706431 10.0.0.1 5004 typ host ...``, ``candidate:`` in front or not.

        Raises :class:`SdpError`.
        """
        parts = words(text.removeprefix("a=").removeprefix(_PREFIX), _FIXED_FIELDS)
        if parts[6].lower() != "typ" or parts[0].startswith(("a=", _PREFIX)):
            raise SdpError("a candidate without typ, or with two prefixes")
        pairs = dict(zip(parts[_FIXED_FIELDS::2], parts[_FIXED_FIELDS + 1 :: 2], strict=False))
        related_port = pairs.pop("rport", None)
        return cls(
            foundation=parts[0],
            component=number(parts[1], 256),
            transport=parts[2].lower(),
            priority=number(parts[3], 2**32 - 1),
            address=parts[4],
            port=number(parts[5], 65535),
            type=parts[7],
            related_address=pairs.pop("raddr", None),
            related_port=None if related_port is None else number(related_port, 65535),
            extensions=tuple(pairs.items()),
        )

    @property
    def is_mdns(self) -> bool:
        """Whether the address is a name that only multicast DNS resolves (draft-ietf-mmusic-mdns-ice-candidates)."""
        return self.address.lower().endswith(".local")

    def __str__(self) -> str:
        parts = [
            self.foundation,
            self.component,
            self.transport,
            self.priority,
            self.address,
            self.port,
            "typ",
            self.type,
        ]
        if self.related_address is not None:
            parts += ["raddr", self.related_address]
        if self.related_port is not None:
            parts += ["rport", self.related_port]
        for pair in self.extensions:
            parts += pair
        return " ".join(map(str, parts))

    def trickled(self) -> str:
        """Return it as ``RTCIceCandidate.candidate`` has it: with ``candidate:`` in front."""
        return _PREFIX + str(self)
