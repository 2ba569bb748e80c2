"""Flows to SIP domains: locates them, goes to another address where one fails, and back (RFC 3263 section 4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.flow import Address, Flow, FlowError
from dialog_sip.aio.handshake import Handshake
from dialog_sip.aio.resolve import Resolver
from dialog_sip.aio.tls import TlsOptions
from dialog_sip.failover import Failover
from dialog_sip.locating import Hop
from dialog_sip.uri import SipUri

MAX_ATTEMPTS: Final = 8
"""Addresses that are tried for one flow or request."""
_WILDCARDS: Final = {False: "0.0.0.0", True: "::"}  # noqa: S104  what PBXs are called from


@dataclass(frozen=True, slots=True)
class Destination:
    """A SIP domain, and how it is reached (RFC 3263 section 4)."""

    domain: str
    """Name or address; also for whom a certificate has to stand."""
    transport: str | None = None
    """None: what DNS says (RFC 3263 section 4.1)."""
    port: int | None = None
    """None: what DNS says, or the default."""
    tls: TlsOptions | None = None
    handshake: Handshake = field(default_factory=Handshake)
    name: str = ""
    """Destinations of different names do not share flows, though they may share an address."""
    secure: bool = False
    """TLS all the way, as ``sips`` has it (RFC 3261 section 26.2.2)."""

    @classmethod
    def of(cls, uri: SipUri, *, tls: TlsOptions | None = None) -> Destination:
        """Return where requests for a URI go (RFC 3263 section 4). ``maddr`` is not followed: it may name anybody."""
        return cls(uri.address, uri.transport, uri.port, tls, secure=uri.scheme == "sips")


class Dialer:
    """Opens flows over an endpoint (RFC 3263 section 4.3).

    ``now`` is the clock of ``failover``, the loop's by default.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        resolver: Resolver,
        *,
        failover: Failover | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._resolver = resolver
        self._failover = failover or Failover()
        self._now = now or asyncio.get_running_loop().time

    async def connect(self, destination: Destination, *, local: Address | None = None, within: float = 5.0) -> Flow:
        """Return a flow to the best address that takes one; each has ``within`` seconds. Raises :class:`FlowError`."""
        hops = await self.hops(destination)
        errors: list[FlowError] = []
        for hop in hops:
            try:
                return await self.connect_to(hop, destination, local=local, within=within)
            except FlowError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        raise FlowError("; ".join(dict.fromkeys(map(str, errors)))) from errors[0]

    async def hops(self, destination: Destination) -> list[Hop]:
        """Return the addresses to try, the best one now first. Raises :class:`FlowError`."""
        return self._failover.order(await self._hops(destination), self._now())[:MAX_ATTEMPTS]

    async def connect_to(
        self, hop: Hop, destination: Destination, *, local: Address | None = None, within: float = 5.0
    ) -> Flow:
        """Return a flow to one address of a destination. Raises :class:`FlowError`."""
        try:
            return await self._endpoint.connect(
                hop.transport,
                hop.host,
                hop.port,
                local=_local_for(hop, local),
                domain=destination.domain,
                tls=destination.tls,
                handshake=destination.handshake,
                name=destination.name,
                within=within,
            )
        except FlowError:
            self._failover.failed(hop, self._now())
            raise

    def failed(self, flow: Flow, *, told: float | None = None) -> None:
        """Avoid the address of a flow from now on, because it is silent, or ``told`` us to for so many seconds."""
        self._failover.failed(hop_of(flow), self._now(), told=told)

    def avoids(self, hop: Hop) -> bool:
        """Tell whether an address failed lately."""
        return self._failover.avoids(hop, self._now())

    def worked(self, flow: Flow) -> None:
        """Forget the failures of the address of a flow."""
        self._failover.worked(hop_of(flow))

    async def alternative(self, flow: Flow, destination: Destination) -> Hop | None:
        """Return an address to use instead of that of a flow that failed; None where it is the only one.

        Raises :class:`FlowError`.
        """
        others = [hop for hop in await self._hops(destination) if hop != hop_of(flow)]
        return next(iter(self._failover.order(others, self._now())), None)

    async def preferred(self, flow: Flow, destination: Destination) -> Hop | None:
        """Return an address to go back to from that of a flow, or None. Raises :class:`FlowError`.

        Also where the flow's own address is not the domain's any more.
        """
        return self._failover.preferred(hop_of(flow), await self._hops(destination), self._now())

    async def _hops(self, destination: Destination) -> list[Hop]:
        return await self._resolver.locate(
            destination.domain,
            transport=destination.transport,
            port=destination.port,
            secure=destination.secure,
        )


def hop_of(flow: Flow) -> Hop:
    """Return the address of a flow, such as RFC 3263 section 4 finds."""
    return Hop(flow.transport, *flow.remote)


def _local_for(hop: Hop, local: Address | None) -> Address | None:
    """Return our own address for a hop: one of the other family cannot be, but its port may."""
    if local is None or (":" in local[0]) == (":" in hop.host):
        return local
    return (_WILDCARDS[":" in hop.host], local[1]) if local[1] else None
