"""One ICE generation with the client (RFC 8445): sockets, credentials, checks, and the tap that media comes out of.

Theory of operation. aioice owns the sockets and speaks STUN on them. Each of its protocols gets a *tap* in front of
``datagram_received``: DTLS and (S)RTP, told apart by the first byte (RFC 7983), go straight to the owner, the rest to
aioice. So a packet costs no queue and no task. What is sent goes to the nominated pair, looked up anew for each
packet, since the client may nominate another one.

End-of-candidates is never told to aioice: it would drop the component where none of the client's candidates was
usable (all of them mDNS names), although the client's own checks make a peer-reflexive one (RFC 8445 section
7.3.1.3). A deadline ends the wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aioice
from aioice.ice import StunProtocol, get_host_addresses
from aiortc import RTCIceGatherer, RTCIceParameters, RTCIceServer, RTCIceTransport
from aiortc.rtcicetransport import connection_kwargs
from dialog_runtime.config.modules import IceServer
from dialog_sip.sdp import Candidate

from dialog_bridge.adapters.media.addresses import is_literal
from dialog_bridge.adapters.media.hosts import HostAddresses
from dialog_bridge.adapters.media.latch import Address
from dialog_bridge.adapters.media.rtp import is_media
from dialog_bridge.adapters.media.settings import MediaSettings

MAX_REMOTE_CANDIDATES = 64
"""Each makes a check with each of our addresses; a client has a dozen."""
_MAX_DATAGRAM = 2048
_REMOTE_TYPES = frozenset({"host", "srflx", "relay"})

Datagram = Callable[[bytes, Address], None]


def is_dtls(first_byte: int) -> bool:
    """Tell DTLS from the rest by the first byte of a datagram (RFC 7983 section 7)."""
    return 19 < first_byte < 64


@dataclass(frozen=True, slots=True)
class IceShared:
    """What all calls of a process share of ICE."""

    settings: MediaSettings
    hosts: HostAddresses

    @classmethod
    def of(cls, settings: MediaSettings) -> IceShared:
        """Return it for these settings."""
        look_up = partial(get_host_addresses, use_ipv4=True, use_ipv6=True)
        return cls(settings, HostAddresses(look_up, loopback=settings.ice_loopback))


class IceGeneration:
    """The ICE agent of one pair of credentials. ``media`` and ``dtls`` take what is not STUN; they must not raise.

    ``lost`` is called once where the consent of the client expires (RFC 7675).
    """

    def __init__(self, shared: IceShared, media: Datagram, dtls: Datagram, lost: Callable[[], None]) -> None:
        self._gatherer = _Gatherer(shared)
        self._connection = self._gatherer.connection
        self._transport = RTCIceTransport(self._gatherer)
        self._media = media
        self._dtls = dtls
        self._lost = lost
        self._remotes = 0

    @property
    def credentials(self) -> tuple[str, str]:
        """Our ``(ufrag, pwd)``."""
        return self._connection.local_username, self._connection.local_password

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Our candidates, after :meth:`gather`."""
        return tuple(Candidate.parse(found.to_sdp()) for found in self._connection.local_candidates)

    @property
    def is_connected(self) -> bool:
        """Whether there is a nominated pair to send on."""
        return self._transport.state == "completed"

    async def gather(self) -> None:
        """Open the sockets and find the candidates."""
        await self._gatherer.gather()
        for protocol in self._connection.stun_protocols:
            self._tap(protocol)

    def add_candidate(self, candidate: Candidate) -> None:
        """Take a candidate of the client. One that cannot be used is ignored: TCP, RTCP's own, a name (mDNS)."""
        usable = candidate.component == 1 and candidate.transport == "udp" and candidate.type in _REMOTE_TYPES
        if usable and is_literal(candidate.address) and self._remotes < MAX_REMOTE_CANDIDATES:
            self._remotes += 1
            self._connection.add_now(aioice.Candidate.from_sdp(str(candidate)))

    async def connect(self, ufrag: str, pwd: str, *, controlling: bool, lite: bool) -> bool:
        """Check until a pair is nominated, and return whether one was. Does not end by itself (see above)."""
        self._connection.ice_controlling = controlling
        await self._transport.start(RTCIceParameters(usernameFragment=ufrag, password=pwd, iceLite=lite))
        self._transport.on("statechange", self._state_changed)
        return self.is_connected

    def send(self, packet: bytes) -> bool:
        """Send on the nominated pair; return False where there is none."""
        pair = self._connection.nominated_pair
        if pair is None:
            return False
        pair.protocol.transport.sendto(packet, pair.remote_addr)
        return True

    async def close(self) -> None:
        """Close the sockets. Safe to call twice."""
        self._transport.remove_all_listeners()
        await self._transport.stop()

    def _state_changed(self) -> None:
        if self._transport.state == "failed":
            self._lost()

    def _tap(self, protocol: StunProtocol) -> None:
        stun, media, dtls = protocol.datagram_received, self._media, self._dtls

        def datagram_received(data: bytes, source: tuple[Any, ...]) -> None:
            first = data[0] if data else 0
            if is_media(first):
                media(data, (source[0], source[1]))
            elif is_dtls(first):
                if self._connection.knows(source[0], source[1]):
                    dtls(data, (source[0], source[1]))
            else:
                stun(data, source)

        cast("Any", protocol).datagram_received = datagram_received
        if hasattr(protocol.transport, "max_size"):
            # asyncio's own transports read into 256 KiB otherwise, at four times the cost of the packet.
            protocol.transport.max_size = _MAX_DATAGRAM


class _Connection(aioice.Connection):
    """aioice's agent with host addresses from outside, and names for what it keeps to itself."""

    hosts: Sequence[str] = ()
    gather_timeout = 5

    async def gather_candidates(self) -> None:
        # aioice asks the kernel for each agent and leaves 127.0.0.1 out. Told here, it is told for this agent alone.
        self._local_candidates_start = True
        self._local_candidates += await self.get_component_candidates(1, [*self.hosts], self.gather_timeout)
        self._local_candidates_end = True

    @property
    def stun_protocols(self) -> Sequence[StunProtocol]:
        return self._protocols

    @property
    def nominated_pair(self) -> aioice.ice.CandidatePair | None:
        return self._nominated.get(1)

    def knows(self, host: str, port: int) -> bool:
        return any(found.host == host and found.port == port for found in self._remote_candidates)

    def add_now(self, candidate: aioice.Candidate) -> None:
        # The public coroutine differs for mDNS names only, which never get here.
        if not self._closing:
            self._add_remote_candidate(candidate, candidate.host)


class _Gatherer(RTCIceGatherer):
    """aiortc's gatherer round our own :class:`_Connection`."""

    def __init__(self, shared: IceShared) -> None:
        super().__init__(iceServers=[])
        servers = connection_kwargs([_server(server) for server in shared.settings.ice_servers])
        self.connection = _Connection(ice_controlling=False, **servers)
        self.connection.hosts = shared.hosts.at(asyncio.get_running_loop().time())
        self.connection.gather_timeout = shared.settings.gather_timeout
        self._connection = self.connection


def check_servers(servers: Sequence[IceServer]) -> None:
    """Raise :class:`ValueError` for a server that is no STUN or TURN URL (RFC 7064, RFC 7065)."""
    for server in servers:
        try:
            connection_kwargs([_server(server)])
        except ValueError as error:
            raise ValueError(f"modules.webrtc.ice-servers: {server.url!r} is no STUN or TURN URL ({error})") from error


def _server(server: IceServer) -> RTCIceServer:
    return RTCIceServer(server.url, server.username or None, server.credential.get_secret_value() or None)
