"""Sends requests to SIP domains: to the next address where one fails, and over TCP what is too large for a datagram.

Theory of operation. One request is tried at each address of its destination until one gives a final response other
than 503, each time as a transaction of its own (RFC 3263 section 4.3). An address has failed where

    no flow to it opens                          | the network or the peer refuses
    the flow breaks                              | ICMP, a connection that is reset
    a timer ends the transaction, and nothing    | a server over UDP that is silent; what said as much as 100 has
    at all was heard                             | the request, so that it is not sent to another
    it answers 503                               | it may say for how long, with Retry-After

and is avoided for a while by all (:mod:`dialog_sip.failover`); after that it comes first again. A request that is too
large goes over TCP to the same address and port (RFC 3261 section 18.1.1), and over UDP after all where there is none;
that is remembered too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from dialog_sip.aio.dial import Destination, Dialer
from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.exchange import ClientRequest, Failure, RequestFailedError
from dialog_sip.aio.flow import Address, Flow, FlowError
from dialog_sip.congestion import transport_for
from dialog_sip.locating import Hop
from dialog_sip.message import Request, Response
from dialog_sip.registration.answer import retry_after

OWN_VIA: Final = 120
"""Bytes that our Via adds to a request, about."""
_UNAVAILABLE: Final = 503


class Answer(NamedTuple):
    """A final response, and the flow on which it came (RFC 3261 section 8.1.3).

    The flow is that of the ACK, and of what follows in the SIP dialog.
    """

    response: Response
    flow: Flow


class Sender:
    """Sends requests over an endpoint (RFC 3263 section 4.3).

    ``large_over_tcp``: large requests leave UDP; false for peers that take UDP alone. ``path_mtu``: bytes, where known.
    """

    def __init__(
        self, endpoint: Endpoint, dialer: Dialer, *, large_over_tcp: bool = True, path_mtu: int | None = None
    ) -> None:
        self._endpoint = endpoint
        self._dialer = dialer
        self._large_over_tcp = large_over_tcp
        self._path_mtu = path_mtu

    async def request(
        self,
        message: Request,
        destination: Destination,
        *,
        local: Address | None = None,
        within: float = 5.0,
        on_attempt: Callable[[ClientRequest], object] | None = None,
    ) -> Answer:
        """Send a request without Via and return its final response; a 503 where every address gave one.

        ``within`` bounds the opening of each flow, the timers of the transaction do the rest; ``on_attempt`` hears of
        each transaction before its first response. Who gives up waiting has an INVITE cancelled. Raises
        :class:`RequestFailedError` or :class:`FlowError`, whichever came last.
        """
        refused: Answer | None = None
        failed: RequestFailedError | FlowError | None = None
        for hop in await self._dialer.hops(destination):
            try:
                flow = await self._flow(message, hop, destination, local, within)
                found = await self._exchange(message, flow, on_attempt)
            except FlowError as error:
                failed = error
                continue
            if isinstance(found, RequestFailedError):
                self._dialer.failed(flow)
                failed = found
            elif found.code == _UNAVAILABLE:
                self._dialer.failed(flow, told=retry_after(found))
                refused = Answer(found, flow)
            else:
                self._dialer.worked(flow)
                return Answer(found, flow)
        if refused is not None:
            return refused
        raise failed or FlowError(f"{destination.domain} has no address")

    async def _flow(
        self, message: Request, hop: Hop, destination: Destination, local: Address | None, within: float
    ) -> Flow:
        larger = hop._replace(transport=self._transport(message, hop))
        if larger != hop and not self._dialer.avoids(larger):
            try:
                return await self._dialer.connect_to(larger, destination, local=local, within=within)
            except FlowError:
                # It is avoided from now on, and the next large request goes over UDP at once.
                pass
        return await self._dialer.connect_to(hop, destination, local=local, within=within)

    def _transport(self, message: Request, hop: Hop) -> str:
        if not self._large_over_tcp:
            return hop.transport
        return transport_for(len(message.encode()) + OWN_VIA, hop.transport, path_mtu=self._path_mtu)

    async def _exchange(
        self, message: Request, flow: Flow, on_attempt: Callable[[ClientRequest], object] | None
    ) -> Response | RequestFailedError:
        """Return the final response, or why there is none where another address may be tried."""
        client = self._endpoint.request(message, flow)
        if on_attempt is not None:
            on_attempt(client)
        try:
            return await client.final()
        except RequestFailedError as error:
            if client.last is not None and error.failure is Failure.TIMEOUT:
                raise
            return error
        except asyncio.CancelledError:
            if message.method == "INVITE":
                client.cancel()
            raise
