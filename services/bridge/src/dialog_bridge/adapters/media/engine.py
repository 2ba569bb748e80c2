"""The engine: opens the media of calls in this process."""

from __future__ import annotations

from dialog_bridge.adapters.media.addresses import local_address_towards, resolve
from dialog_bridge.adapters.media.certificate import Certificates
from dialog_bridge.adapters.media.forwarder import Forwarder
from dialog_bridge.adapters.media.ice import IceShared, check_servers
from dialog_bridge.adapters.media.session import RelaySession
from dialog_bridge.adapters.media.settings import MediaSettings
from dialog_bridge.adapters.media.sockets import PortPool, PortsExhaustedError
from dialog_bridge.ports import MediaError, MediaEvents

_ANY = "0.0.0.0"  # noqa: S104 - a configured address may be that of a NAT before us, which cannot be bound
_ANY_IPV6 = "::"


class RelayEngine:
    """A :class:`dialog_bridge.ports.MediaEngine` that forwards packets in the event loop.

    Raises :class:`ValueError` where an ICE server's URL cannot be read.
    """

    def __init__(self, settings: MediaSettings) -> None:
        check_servers(settings.ice_servers)
        self._settings = settings
        self._ice = IceShared.of(settings)
        self._ports = PortPool(settings.port_min, settings.port_max)
        self._certificates = Certificates()

    async def open(self, call_id: str, sip_peer: str, events: MediaEvents) -> RelaySession:
        """Open the media of one call.

        Raises :class:`MediaError`: 500 where ``sip_peer`` cannot be reached from here, 503 where no port is free.
        """
        address, host = await self._addresses(sip_peer)
        try:
            forwarder = Forwarder(self._ice, self._certificates.current(), self._ports, host, events)
        except PortsExhaustedError as error:
            raise MediaError(503, f"no free RTP port for call {call_id}") from error
        except OSError as error:
            raise MediaError(500, f"RTP ports cannot be opened on {host}: {error.strerror}") from error
        return RelaySession(forwarder, address)

    async def _addresses(self, sip_peer: str) -> tuple[str, str]:
        """Return what SDP names and what is bound."""
        try:
            if self._settings.address:
                address = await resolve(self._settings.address)
                return address, _ANY_IPV6 if ":" in address else _ANY
            address = local_address_towards(await resolve(sip_peer))
        except OSError as error:
            raise MediaError(500, f"no way to the PBX {sip_peer}: {error}") from error
        return address, address
