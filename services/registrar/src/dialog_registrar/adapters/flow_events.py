"""What flows tell the registrar, and the peers' requests that they bring."""

from __future__ import annotations

from typing import Protocol

import structlog
from dialog_sip import LocalProtocolError, Request, Response
from dialog_sip.aio import ServerRequest

from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import ServerTransaction

log = structlog.get_logger(__name__)


class FlowEvents(Protocol):
    """Who hears of flows and of what comes in on them."""

    def flow_up(self, server: Server, address: str) -> None:
        """Learn of a new flow; ``address`` is ours, as Contacts have it."""

    def flow_down(self, server: Server) -> None:
        """Learn that it is lost."""

    def flow_failed(self, server: Server, why: str) -> None:
        """Learn that it cannot be opened now."""

    def flow_closed(self, server: Server) -> None:
        """Learn that it is closed for good."""

    def silence_ended(self, server: Server, seconds: float) -> None:
        """Learn that the PBX answers again, after so long a silence: it may have lost its bindings."""

    def request_received(self, server: Server, transaction: ServerTransaction) -> None:
        """Take a request; an ACK comes this way too, with a transaction that takes no answer."""

    def success_received(self, server: Server, response: Response) -> None:
        """Take a 2xx to an INVITE that is not known here: an earlier process sent it."""

    def cancel_received(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Learn that an INVITE is cancelled."""

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        """Learn that a 2xx was never acknowledged."""


class Transaction:
    """A server transaction as the edge knows it."""

    __slots__ = ("_server", "request")

    def __init__(self, server: ServerRequest) -> None:
        self._server = server
        self.request = server.request

    def respond(self, response: Response) -> None:
        """Answer it."""
        try:
            self._server.send(response)
        except LocalProtocolError as error:
            # It ended meanwhile, or a bridge answers twice: nobody is there to be told.
            log.debug("response not sent", reason=str(error))


class Ack:
    """An ACK: nothing can be answered."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request

    def respond(self, _response: Response) -> None:
        """Nothing: an ACK is never answered (RFC 3261 section 17.1.1.3)."""
