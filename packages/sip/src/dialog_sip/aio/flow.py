"""Flows and listeners: what all transports have in common (RFC 5626 section 2)."""

from __future__ import annotations

import abc
import secrets
from collections.abc import Callable
from typing import Final, Protocol

from dialog_sip.errors import SipError
from dialog_sip.framer import PING
from dialog_sip.uri import SipUri

Address = tuple[str, int]
"""Address and port; IPv6 without brackets, scope or flow label."""

RELIABLE: Final = frozenset({"tcp", "tls", "ws", "wss"})
"""Transports that see to delivery themselves."""


class FlowError(SipError):
    """A flow could not be opened, or is broken or closed (RFC 3261 section 18.4)."""


class Receiver(Protocol):
    """Who gets what comes in on flows (RFC 3261 section 18). Called in the event loop."""

    def message_received(self, flow: Flow, data: bytes) -> None:
        """Take one datagram, or one framed message."""

    def flow_opened(self, flow: Flow) -> None:
        """Learn of a flow that a peer opened."""

    def flow_failed(self, flow: Flow) -> None:
        """Learn that the network refused what was sent, while the flow itself stays (ICMP for UDP)."""

    def flow_closed(self, flow: Flow) -> None:
        """Learn that the flow is gone; nothing after it."""


class Flow(abc.ABC):
    """A way to one peer address (RFC 5626 section 2).

    Everything that belongs together goes over one flow, so NATs let it through.
    """

    def __init__(self, transport: str, local: Address, remote: Address, receiver: Receiver) -> None:
        self.id = f"{transport}-{secrets.token_hex(6)}"
        """Opaque name, unique in the whole system."""
        self.transport = transport
        """``udp``, ``tcp``, ``tls``, ``ws`` or ``wss``."""
        self.reliable = transport in RELIABLE
        """True where the transport itself sees to delivery."""
        self.local = local
        """Our address and port."""
        self.remote = remote
        """The peer's address and port."""
        self.closed = False
        """True once nothing can be sent any more."""
        self.heard = 0
        """How often something came in: the same after a while means that the peer is silent."""
        self.reason = ""
        """Why it is closed, in words; empty where we closed it."""
        self.on_closed: list[Callable[[Flow], None]] = []
        """Called once when the flow is gone, by either side."""
        self._receiver = receiver

    @abc.abstractmethod
    def send(self, data: bytes) -> None:
        """Send one message. Raises :class:`FlowError`; what a full UDP buffer drops, retransmission heals."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close; what was sent before may still go out."""

    def cut(self, reason: str) -> None:
        """Close because of the peer, who is dead or does wrong."""
        self.reason = self.reason or reason
        self.close()

    @abc.abstractmethod
    async def wait_closed(self) -> None:
        """Wait until what was sent before :meth:`close` is out, within a deadline."""

    def ping(self) -> None:
        """Send a keepalive (RFC 5626 section 4.4.1), which also keeps a NAT's binding of a UDP flow."""
        self.send(PING)

    def towards_port(self, _port: int) -> Flow:
        """Return the flow to another port of the same peer address; this one where that cannot be."""
        return self

    def contact_uri(self, user: str | None, *, host: str = "", outbound: bool = False) -> SipUri:
        """Return the URI under which the peer reaches ``user`` over this flow.

        ``host`` is said in place of our own address, where given. ``outbound`` adds ``ob``: for the Contact of what
        begins a SIP dialog on a flow that was registered with outbound, so that its later requests come over that flow
        too (RFC 5626 section 4.3).
        """
        uri = SipUri.make(user, host or self.local[0], self.local[1])
        uri = uri if self.transport == "udp" else uri.with_params(transport=self.transport)
        return uri.with_params(ob=None) if outbound else uri

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<Flow {self.id} {self.local[0]}:{self.local[1]} -> {self.remote[0]}:{self.remote[1]}{state}>"

    def _ended(self) -> None:
        """Tell everybody, once."""
        if self.closed:
            return
        self.closed = True
        self._receiver.flow_closed(self)
        for callback in self.on_closed:
            callback(self)


class Listener(abc.ABC):
    """A bound socket at which peers open flows (RFC 3261 section 18.2.1)."""

    address: Address
    """What it is bound to, the port resolved."""

    @abc.abstractmethod
    def close(self) -> None:
        """Take in nothing more, and close the flows that came of it."""


def plain_address(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Return address and port of what the socket API gives, without the zone of RFC 4007 section 11."""
    return sockaddr[0].partition("%")[0], sockaddr[1]
