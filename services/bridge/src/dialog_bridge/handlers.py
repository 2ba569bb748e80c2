"""One function for each thing that comes over the bus. Each returns when all that follows from it is on the bus.

``call.commands`` and ``sip.requests`` are shared: whoever owns a record's partition finds out who holds the call, or
who is to take it, and handles the record or sends it on to that bridge's inbox as it came. So the commands for one call
stay in order: they come from one partition and go through one inbox.
"""

from __future__ import annotations

from dialog_runtime.bus import PermanentError, Record, TransientError
from dialog_runtime.logging import bound
from dialog_schemas.calls import CallCommand, Start, Transfer
from dialog_schemas.cloudevents import Envelope
from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import RemoteProtocolError, Request, Response, parse_message

from dialog_bridge import placing
from dialog_bridge.desk import Desk
from dialog_bridge.model import policy, routing
from dialog_bridge.model.caller import call_id_of
from dialog_bridge.model.commands import WANTS_AN_ANSWER, command_input, replacing
from dialog_bridge.model.stray import end_stray
from dialog_bridge.model.targets import UnusableTargetError, request_uri
from dialog_bridge.runner import CallRunner

KNOWN_WITHIN = 1.0
"""Seconds that a command waits for its call to show up in the directory."""

TAKEN_WITHIN = 4.0
"""Seconds that a call given to another bridge has to show up in the directory; longer than it takes to be dead."""

STALE_AFTER = 60.0
"""Seconds after which a start is not placed any more: whoever wanted the call has given up."""


# call.commands


async def call_command(desk: Desk, record: Record) -> None:
    """Handle a command as the owner of its partition."""
    envelope = record.envelope()
    command = _command(envelope)
    if desk.is_repeat(envelope):
        desk.meters.command(command.NAME, "repeated")
        return
    with bound(call_id=command.call_id):
        if isinstance(command, Start):
            await start_somewhere(desk, record, envelope, command)
        else:
            await command_somewhere(desk, record, command)
    desk.remember(envelope)


async def start_somewhere(desk: Desk, record: Record, envelope: Envelope, start: Start) -> None:
    """Place a new call here or on a bridge with more room."""
    if desk.switchboard.knows(start.call_id) or desk.directory.get(start.call_id) is not None:
        desk.meters.command(start.NAME, "repeated")
        return
    own = desk.own()
    to = routing.place(own, desk.bridges())
    if _is_stale(desk, envelope):
        placing.refuse(desk, start, policy.TOO_LATE, envelope.trace)
    elif to is None:
        placing.refuse(desk, start, policy.TOO_MANY, envelope.trace)
    elif to == own.instance:
        await start_here(desk, envelope, start)
    else:
        await _give_away(desk, record, start, to)


async def start_here(desk: Desk, envelope: Envelope, start: Start) -> None:
    """Place a new call on this bridge."""
    if desk.switchboard.knows(start.call_id):
        return
    began = placing.outgoing(desk, start, envelope.trace)
    if isinstance(began, policy.Refusal):
        placing.refuse(desk, start, began, envelope.trace)
    else:
        desk.meters.command(start.NAME, "handled")
        await began.delivered()


async def command_somewhere(desk: Desk, record: Record, command: CallCommand) -> None:
    """Give a command to the bridge that holds its call."""
    runner = desk.switchboard.get(command.call_id)
    if runner is not None:
        await command_here(desk, runner, command)
        return
    if desk.switchboard.is_over(command.call_id):
        desk.meters.command(command.NAME, "ignored")
        return
    entry = await desk.directory.appears(command.call_id, KNOWN_WITHIN)
    if entry is None:
        # From now on it is known to be over, so that the next one for it waits no more.
        desk.switchboard.over(command.call_id)
        _unknown(desk, command)
    elif entry.instance == desk.instance or desk.is_dead(entry.instance):
        # Left by a bridge that died, or by this one before it was started anew: it is about to be ended.
        desk.meters.command(command.NAME, "ignored")
    else:
        desk.meters.command(command.NAME, "forwarded")
        await desk.outbox.forward(entry.instance, record)


async def command_here(desk: Desk, runner: CallRunner, command: CallCommand) -> None:
    """Give a command to its call."""
    runner.feed(command_input(command, _target(desk, runner, command)))
    desk.meters.command(command.NAME, "handled")
    await runner.delivered()


# inbox.<this bridge>


async def inbox(desk: Desk, record: Record) -> None:
    """Handle what was sent to this bridge: SIP, and commands that another one sent on."""
    if record.is_relay:
        await sip_message(desk, record.relay())
        return
    envelope = record.envelope()
    command = _command(envelope)
    if desk.is_repeat(envelope):
        return
    with bound(call_id=command.call_id):
        await _forwarded(desk, envelope, command)
    desk.remember(envelope)


async def sip_message(desk: Desk, relay: Relay) -> None:
    """Give a SIP message to its call."""
    desk.heard(relay)
    runner = desk.switchboard.get(relay.call) or desk.switchboard.by_transaction(relay.transaction)
    if runner is not None:
        await _hear(runner, relay)
    elif relay.kind is RelayKind.REQUEST:
        await _request_here(desk, relay)
    elif relay.kind is RelayKind.RESPONSE:
        await _stray_response(desk, relay)


# sip.requests


async def sip_request(desk: Desk, record: Record) -> None:
    """Handle a request outside any known SIP dialog as the owner of its partition."""
    relay = record.relay()
    desk.heard(relay)
    if relay.kind is RelayKind.RESPONSE:
        await _stray_response(desk, relay)
        return
    request = _request(relay)
    if request is None:
        return
    if request.method == "INVITE" and request.to.tag is None:
        await invite_somewhere(desk, record, relay, request)
        return
    runner = desk.switchboard.by_transaction(relay.transaction) or desk.switchboard.by_sip_call_id(request.call_id)
    if runner is not None:
        await _hear(runner, relay)
    elif (holder := _holder(desk, request.call_id)) is not None:
        await desk.outbox.forward(holder, record)
    else:
        _refuse_unknown(desk, relay, request)


async def invite_somewhere(desk: Desk, record: Record, relay: Relay, invite: Request) -> None:
    """Take a call of the PBX here, or give it to a bridge with more room."""
    own = desk.own()
    to = routing.place(own, desk.bridges())
    if to is None:
        placing.decline(desk, invite, relay, policy.TOO_MANY)
    elif to == own.instance:
        await invite_here(desk, relay, invite)
    else:
        desk.invites.put(invite.call_id, to)
        await desk.outbox.forward(to, record)


async def invite_here(desk: Desk, relay: Relay, invite: Request) -> None:
    """Take a call of the PBX on this bridge."""
    if desk.switchboard.knows(call_id_of(invite, relay.aor)):
        return
    try:
        began = placing.incoming(desk, invite, relay)
    except RemoteProtocolError as error:
        placing.respond(desk, invite, relay, error.status, error.headers)
        return
    if isinstance(began, policy.Refusal):
        placing.decline(desk, invite, relay, began)
    else:
        await began.delivered()


# What they share.


def _command(envelope: Envelope) -> CallCommand:
    if not isinstance(envelope.event, CallCommand):
        raise PermanentError(f"{envelope.event.type()} is no command for a call")
    return envelope.event


def _is_stale(desk: Desk, envelope: Envelope) -> bool:
    if envelope.time is None or envelope.time.tzinfo is None:
        return False
    return (desk.clock.utcnow() - envelope.time).total_seconds() > STALE_AFTER


async def _give_away(desk: Desk, record: Record, start: Start, to: str) -> None:
    desk.meters.command(start.NAME, "forwarded")
    await desk.outbox.forward(to, record)
    # The start is not done with before the other bridge has said something of the call: it may be dying. One that is
    # alive and has no entry has refused it.
    if await desk.directory.appears(start.call_id, TAKEN_WITHIN) is None and desk.is_dead(to):
        raise TransientError(f"{to} died before it took the call")


async def _forwarded(desk: Desk, envelope: Envelope, command: CallCommand) -> None:
    if isinstance(command, Start):
        await start_here(desk, envelope, command)
        return
    runner = desk.switchboard.get(command.call_id)
    if runner is not None:
        await command_here(desk, runner, command)
    else:
        _unknown(desk, command)


def _unknown(desk: Desk, command: CallCommand) -> None:
    desk.meters.command(command.NAME, "ignored")
    if isinstance(command, WANTS_AN_ANSWER):
        raise PermanentError(f"there is no call {command.call_id}")


def _target(desk: Desk, runner: CallRunner, command: CallCommand) -> str:
    if not isinstance(command, Transfer):
        return ""
    other = None if command.replaces_call_id is None else desk.directory.get(command.replaces_call_id)
    if other is not None and other.sip_dialog is not None:
        return replacing(other.sip_dialog)
    mapping = desk.mappings.by_aor(runner.call.identity.aor)
    if mapping is None or command.replaces_call_id is not None:
        raise PermanentError(f"{command.replaces_call_id or command.to} cannot be transferred to")
    try:
        return str(request_uri(command.to, mapping))
    except UnusableTargetError as error:
        raise PermanentError(f"transfer: {error}") from error


def _request(relay: Relay) -> Request | None:
    """Return the request that was relayed; None for one that cannot be read, which its registrar answers."""
    try:
        message = parse_message(relay.sip)
        if not isinstance(message, Request):
            return None
        message.call_id, message.to, message.from_, message.cseq  # noqa: B018  read here or not at all
    except RemoteProtocolError:
        return None
    return message


async def _hear(runner: CallRunner, relay: Relay) -> None:
    with bound(call_id=runner.call.identity.call_id):
        runner.hear(relay)
        await runner.delivered()


async def _request_here(desk: Desk, relay: Relay) -> None:
    request = _request(relay)
    if request is None:
        return
    if request.method == "INVITE" and request.to.tag is None:
        await invite_here(desk, relay, request)
    elif (runner := desk.switchboard.by_sip_call_id(request.call_id)) is not None:
        await _hear(runner, relay)
    else:
        _refuse_unknown(desk, relay, request)


def _refuse_unknown(desk: Desk, relay: Relay, request: Request) -> None:
    """Answer a request of no call: 481, but a BYE of a call that is over is as good as done (RFC 3261 15.1.2)."""
    if request.method not in {"ACK", "CANCEL"}:
        placing.respond(desk, request, relay, 481)


async def _stray_response(desk: Desk, relay: Relay) -> None:
    """Acknowledge a 2xx whose INVITE died with its registrar; where its call is over, end it as well."""
    message = parse_message(relay.sip)
    if not isinstance(message, Response):
        return
    runner = desk.switchboard.by_sip_call_id(message.call_id)
    if runner is not None:
        await _hear(runner, relay)
    elif _holder(desk, message.call_id) is None:
        for answer in end_stray(message, relay, desk.instance, ignore_contact=desk.legs.ignore_contact):
            desk.outbox.relay(relay.sender, answer)


def _holder(desk: Desk, sip_call_id: str) -> str | None:
    entry = desk.directory.by_sip_call_id(sip_call_id)
    if entry is not None:
        return None if entry.instance == desk.instance else entry.instance
    return desk.invites.get(sip_call_id)
