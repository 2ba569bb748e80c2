"""What the media engine needs of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dialog_runtime.config.modules import IceServer, Modules


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """``modules.sip.media`` and ``modules.webrtc``, and limits of our own. Times are seconds."""

    address: str = ""
    """Address that SDP names to the PBX; empty: that of the interface towards it."""
    port_min: int = 20000
    port_max: int = 29999
    ice_servers: tuple[IceServer, ...] = ()
    """STUN and TURN servers; none means none, never a public one."""
    ice_loopback: bool = False
    """Offer candidates on 127.0.0.1 as well."""
    gather_timeout: int = 2
    """For the STUN and TURN servers; what they have not answered by then is left out."""
    connect_timeout: float = 30.0
    """For ICE and DTLS with the client together, from the moment that both descriptions are known."""
    silence_timeout: float = 60.0
    """A side that is to send and gives no RTP or RTCP for so long is dead; after half of it the PBX is asked."""
    report_interval: float = 5.0
    """Between RTCP reports, on average (RFC 3550 section 6.2)."""

    @classmethod
    def of(cls, modules: Modules) -> Self:
        """Read them from ``server.conf``."""
        media = modules.sip.media
        return cls(
            address=media.address,
            port_min=media.port_min,
            port_max=media.port_max,
            ice_servers=modules.webrtc.ice_servers,
            ice_loopback=media.ice_loopback,
            silence_timeout=media.silence_timeout.total_seconds(),
        )
