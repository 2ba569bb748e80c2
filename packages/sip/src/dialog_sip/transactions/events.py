"""What comes out of the transaction layer, and what it asks of a flow (RFC 3261 section 17)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dialog_sip.message import Request, Response


class FlowLike(Protocol):
    """A way to one peer address, as much of it as transactions need (RFC 5626)."""

    @property
    def transport(self) -> str:
        """``udp``, ``tcp``, ``tls``, ``ws`` or ``wss``."""

    @property
    def reliable(self) -> bool:
        """True where the transport itself sees to delivery."""

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port; an IPv6 address without brackets."""

    @property
    def remote(self) -> tuple[str, int]:
        """The peer's address and port."""

    def towards_port(self, port: int) -> FlowLike:
        """Return the flow to another port of the same peer address; itself where there is no such thing."""


class Transmit(NamedTuple):
    """Send ``data`` on ``flow`` (RFC 3261 sections 18.1.1 and 18.2.2)."""

    flow: FlowLike
    data: bytes


class RequestReceived(NamedTuple):
    """A request other than ACK and CANCEL came in, for the first time (section 17.2). Answer it with ``respond``."""

    transaction: str
    request: Request
    flow: FlowLike


class ResponseReceived(NamedTuple):
    """A response to a request of ours (RFC 3261 section 8.1.3).

    An INVITE may have several 2xx, one a To tag (forking, section 13.2.2.4).
    """

    transaction: str
    response: Response
    flow: FlowLike


class StraySuccess(NamedTuple):
    """A 2xx to an INVITE that is not known here, as after another process sent it (RFC 3261 section 13.2.2.4).

    It wants its ACK.
    """

    response: Response
    flow: FlowLike
    transaction: None = None


class AckReceived(NamedTuple):
    """The ACK for a 2xx of ours, which is no transaction (RFC 3261 section 17).

    It is not known here, as after another process sent the 2xx.
    """

    transaction: str | None
    request: Request
    flow: FlowLike


class AckTimeout(NamedTuple):
    """No ACK for a 2xx of ours within 64*T1: send BYE (RFC 3261 section 13.3.1.4)."""

    transaction: str
    request: Request
    flow: FlowLike


class CancelReceived(NamedTuple):
    """The peer cancels the INVITE of this transaction (RFC 3261 section 9.2).

    The CANCEL itself is answered. Answer the INVITE with 487.
    """

    transaction: str
    request: Request
    flow: FlowLike


class Timeout(NamedTuple):
    """No final response to a request of ours: treat it as 408 (RFC 3261 section 8.1.3.1)."""

    transaction: str
    request: Request
    flow: FlowLike


class TransportFailed(NamedTuple):
    """The flow broke before the transaction was over: for a client as good as 503 (RFC 3261 section 8.1.3.1)."""

    transaction: str
    request: Request
    flow: FlowLike


class ServerTimeout(NamedTuple):
    """A request was answered in the TU's place, because it took too long or there were too many.

    It serves RFC 3261 section 17.2.
    """

    transaction: str
    request: Request
    flow: FlowLike


class Terminated(NamedTuple):
    """The transaction is over and its name means nothing any more (RFC 3261 section 17)."""

    transaction: str


Event = (
    RequestReceived
    | ResponseReceived
    | StraySuccess
    | AckReceived
    | AckTimeout
    | CancelReceived
    | Timeout
    | TransportFailed
    | ServerTimeout
    | Terminated
)
"""Everything that a TU hears of."""
