"""What the registrar needs from outside, as protocols: passwords, SIP, bridges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dialog_schemas.relay import Relay
from dialog_sip import Request, Response
from dialog_sip.registration import Register
from dialog_sip.transactions import Failure
from pydantic import SecretStr

from dialog_registrar.model.mapping import Mapping, Server


class PasswordsAwayError(Exception):
    """The table cannot be read now; try again later."""


class Removed(NamedTuple):
    """A row that is gone."""

    mapping: Mapping
    password: SecretStr


class Passwords(Protocol):
    """The passwords of the table ``sip_user_mappings``."""

    async def fetch(self, mappings: Sequence[Mapping]) -> dict[str, SecretStr]:
        """Return AOR -> password for those that have a row. Raises :class:`PasswordsAwayError`."""

    async def removed(self, aors: Sequence[str]) -> dict[str, Removed]:
        """Return AOR -> what its row was, for rows that were removed. Raises :class:`PasswordsAwayError`."""

    async def forget(self, aors: Sequence[str]) -> None:
        """Keep nothing of these removed rows any more. Raises :class:`PasswordsAwayError`."""


class FlowDownError(Exception):
    """There is no way to the PBX now."""


class ClientEvents(Protocol):
    """Who sent a request hears of it here. Called in the event loop; implementations neither block nor raise."""

    def received(self, response: Response) -> None:
        """Take a response; of each final one but a 2xx to INVITE there is one, and nothing after it."""

    def failed(self, failure: Failure) -> None:
        """Learn that no response will come. Nothing after it."""


class RegisterEvents(ClientEvents, Protocol):
    """The same for a REGISTER; it hears the final response alone."""

    def may_repeat(self) -> bool:
        """Tell whether it may be sent again now; asked before each retransmission."""


class ClientTransaction(Protocol):
    """A request on its way."""

    def cancel(self) -> object:
        """CANCEL an INVITE as soon as that may be done (RFC 3261 section 9.1); nothing where it is answered."""


class RegisterTransaction(Protocol):
    """A REGISTER on its way."""

    def hush(self) -> object:
        """Send it no more; its answer is still taken."""

    def cancel(self) -> object:
        """Forget it: nothing is called any more, whatever is answered."""


class Registering(Protocol):
    """The way of REGISTERs."""

    def register(self, server: Server, register: Register, events: RegisterEvents) -> RegisterTransaction:
        """Send a REGISTER; the Via is added. Raises :class:`FlowDownError`."""


class ServerTransaction(Protocol):
    """A request that came in and wants an answer. Told apart by identity."""

    def __hash__(self) -> int:
        """Hash by identity."""

    @property
    def request(self) -> Request:
        """The request."""

    def respond(self, response: Response) -> None:
        """Answer it; after a final response nothing happens."""


class Sip(Protocol):
    """The flows, one for each PBX address."""

    def contact(self, server: Server, user: str) -> str | None:
        """Return the URI under which ``user`` is reached on the flow, or None while that is down."""

    def flow_name(self, server: Server) -> str:
        """Return the flow's name for traces."""

    def send(self, server: Server, request: Request, events: ClientEvents) -> ClientTransaction:
        """Start a client transaction; the topmost Via is added. Raises :class:`FlowDownError`."""

    def send_ack(self, server: Server, ack: Request) -> None:
        """Send the ACK for a 2xx, and again for each time that the 2xx comes again. Raises :class:`FlowDownError`."""


class Bridges(Protocol):
    """The way to bridges."""

    def to_one(self, instance: str, relay: Relay) -> bool:
        """Put a message into the inbox of one bridge. False: too much waits already, it is not sent."""

    def to_any(self, sip_call_id: str, relay: Relay) -> bool:
        """Put a message on ``sip.requests``. False: too much waits already, it is not sent."""
