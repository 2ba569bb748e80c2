"""What happens, one function an event. Time comes from the registrar's clock; nothing here waits.

Every function leaves its work to the engine (``model/engine.py``) or the edge (``edge/``) and gives the pump a push,
which then does what the engine wants (``pump.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from dialog_schemas.mappings import MappingRejected, MappingUpserted
from dialog_schemas.registrations import RegistrationStatus
from dialog_schemas.relay import MalformedRelayError, Relay, RelayKind
from dialog_sip import RemoteProtocolError, Request, Response, parse_message

from dialog_registrar.edge.context import Edge
from dialog_registrar.edge.incoming import Incoming
from dialog_registrar.edge.outgoing import Outgoing
from dialog_registrar.model.accounts import Account
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.incoming import decide
from dialog_registrar.model.mapping import Server, mapping_of
from dialog_registrar.ports import ServerTransaction


class Push(Protocol):
    """Has the engine looked at soon."""

    def push(self) -> None:
        """Ask for a turn."""


@dataclass(slots=True)
class Registrar:
    """All that handlers work on."""

    engine: Engine
    edge: Edge
    outgoing: Outgoing
    incoming: Incoming
    pump: Push


MappingEvent = MappingUpserted | MappingRejected

# Mappings.


def mapping_changed(
    registrar: Registrar, event: MappingEvent, partition: int, predecessor: RegistrationStatus | None = None
) -> None:
    """Take a row as it is now, usable or not."""
    if isinstance(event, MappingUpserted):
        mapping_upserted(registrar, event, partition, predecessor)
    else:
        mapping_rejected(registrar, event, partition, predecessor)


def mapping_upserted(
    registrar: Registrar, event: MappingUpserted, partition: int, predecessor: RegistrationStatus | None = None
) -> None:
    """Register it, unregister it, or keep a flow for it, as the row says."""
    registrar.engine.upsert(mapping_of(event), partition, predecessor)
    registrar.pump.push()


def mapping_rejected(
    registrar: Registrar, event: MappingRejected, partition: int, predecessor: RegistrationStatus | None = None
) -> None:
    """Say why the row cannot be used, and unregister what it was before."""
    registrar.engine.reject(event.aor, event.reason, event.revision, partition, predecessor)
    registrar.pump.push()


def mapping_deleted(
    registrar: Registrar, aor: str, partition: int, predecessor: RegistrationStatus | None = None
) -> None:
    """Unregister and forget."""
    registrar.engine.delete(aor, partition, predecessor)
    registrar.pump.push()


def partition_revoked(registrar: Registrar, partition: int) -> None:
    """Let go of its mappings: they are another registrar's."""
    registrar.engine.revoke(partition)
    registrar.pump.push()


# Flows.


def flow_up(registrar: Registrar, server: Server, address: str) -> None:
    """Register over a new flow whom it concerns."""
    registrar.engine.flow_up(server, address)
    registrar.pump.push()


def flow_down(registrar: Registrar, server: Server) -> None:
    """Remember that a flow is lost."""
    registrar.engine.flow_down(server)
    registrar.pump.push()


def flow_failed(registrar: Registrar, server: Server, why: str) -> None:
    """Say why there is no flow."""
    registrar.engine.flow_failed(server, why)
    registrar.pump.push()


def silence_ended(registrar: Registrar, server: Server, seconds: float) -> None:
    """Make bindings again that the PBX may have lost while it was silent."""
    registrar.engine.repair(server, registrar.engine.now() - seconds)
    registrar.pump.push()


def flow_closed(registrar: Registrar, server: Server) -> None:
    """Forget a flow that nobody had any more."""
    registrar.engine.flow_closed(server)
    registrar.pump.push()


# What bridges send.


def relay_received(registrar: Registrar, relay: Relay) -> None:
    """Do what a bridge asks for. Raises :class:`MalformedRelayError` where it cannot be understood."""
    match relay.kind:
        case RelayKind.REQUEST:
            relay_request(registrar, relay)
        case RelayKind.RESPONSE:
            relay_response(registrar, relay)
        case RelayKind.CANCEL:
            registrar.outgoing.cancel(relay)
        case RelayKind.ACK_TIMEOUT:
            raise MalformedRelayError("ack-timeout is for bridges")


def relay_request(registrar: Registrar, relay: Relay) -> None:
    """Send a bridge's request to the PBX."""
    message = _parse(relay)
    if not isinstance(message, Request):
        raise MalformedRelayError("a response where a request is said to be")
    _look_into(message)
    registrar.outgoing.request(relay, message)
    if registrar.outgoing.next() is not None:
        registrar.pump.push()


def relay_response(registrar: Registrar, relay: Relay) -> None:
    """Answer a request of the PBX."""
    message = _parse(relay)
    if not isinstance(message, Response):
        raise MalformedRelayError("a request where a response is said to be")
    registrar.incoming.respond(relay, message)
    registrar.pump.push()


# What the PBX sends.


def sip_request_received(registrar: Registrar, server: Server, transaction: ServerTransaction) -> None:
    """Answer a request of the PBX, or find the bridge that does."""
    request = transaction.request
    try:
        account = _account(registrar, server, request)
        bridge = registrar.edge.routes.find(request.call_id, registrar.edge.now())
        in_dialog = request.to.tag is not None
    except RemoteProtocolError as error:
        transaction.respond(request.respond(error.status, error.reason))
        return
    decision = decide(request.method, in_dialog=in_dialog, bridge=bridge, user_known=account is not None)
    registrar.incoming.act(decision, uuid4().hex, transaction, account)
    registrar.pump.push()


def sip_success_received(registrar: Registrar, server: Server, response: Response) -> None:
    """Find the bridge that acknowledges a 2xx whose INVITE an earlier process sent, or any that ends what it began."""
    try:
        account = registrar.edge.accounts.account_at(server, response.from_.uri.username)
        name = f"{response.call_id}.{response.cseq.number}"
        bridge = registrar.edge.routes.find(response.call_id, registrar.edge.now())
    except RemoteProtocolError:
        return
    if account is not None:
        relay = Relay(RelayKind.RESPONSE, name, account.aor, response.encode(), sender=registrar.edge.instance)
        registrar.edge.to_bridge_or_any(bridge, response.call_id, relay)


def sip_cancel_received(registrar: Registrar, transaction: ServerTransaction, cancel: Request) -> None:
    """Tell the bridge that an INVITE is cancelled."""
    registrar.incoming.cancelled(transaction, cancel)


def sip_ack_timed_out(registrar: Registrar, transaction: ServerTransaction) -> None:
    """Tell the bridge that its 2xx was never acknowledged."""
    registrar.incoming.ack_timed_out(transaction)


def _account(registrar: Registrar, server: Server, request: Request) -> Account | None:
    """Find whom a request is for: by our Contact in the Request-URI, or, where a PBX did not keep that, by To."""
    edge = registrar.edge
    users = (request.request_uri.username, request.to.uri.username)
    found = (edge.accounts.account_at(server, user) for user in (reversed(users) if edge.by_to else users))
    return next((account for account in found if account is not None), None)


def _look_into(request: Request) -> None:
    """Read what of a request is needed while it waits, and after that: who brought it is gone by then."""
    try:
        _ = request.from_, request.to, request.call_id, request.cseq, request.max_forwards
    except RemoteProtocolError as error:
        raise MalformedRelayError(f"not a request: {error}") from error


def _parse(relay: Relay) -> Request | Response:
    try:
        return parse_message(relay.sip)
    except RemoteProtocolError as error:
        raise MalformedRelayError(f"not a SIP message: {error}") from error
