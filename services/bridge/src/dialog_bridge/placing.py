"""Begins calls: makes machine and leg of one, or says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dialog_schemas.calls import CallState, Ended, EndReason, Start
from dialog_schemas.instances import CallDirection
from dialog_schemas.mappings import MappingUpserted, PeerType
from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import RemoteProtocolError, Request

from dialog_bridge.desk import Desk
from dialog_bridge.model import bodies, policy
from dialog_bridge.model.call import Call, Identity
from dialog_bridge.model.caller import call_id_of, caller_of
from dialog_bridge.model.inputs import Command, Kind
from dialog_bridge.model.inputs import Request as RequestInput
from dialog_bridge.model.leg import SipLeg
from dialog_bridge.model.parcels import Names
from dialog_bridge.model.targets import UnusableTargetError, own_uri, request_uri
from dialog_bridge.runner import CallRunner


def outgoing(desk: Desk, start: Start, trace: str | None) -> CallRunner | policy.Refusal:
    """Begin a call of the client."""
    mapping = policy.for_calling(desk.mappings.of_user(start.user_id))
    if isinstance(mapping, policy.Refusal):
        return mapping
    try:
        target = request_uri(start.to, mapping)
    except UnusableTargetError as error:
        return policy.Refusal(EndReason.CALLEE_NOT_FOUND, str(error))
    if desk.registrars.holder_of(mapping.aor) is None:
        return policy.Refusal(EndReason.ERROR, f"no registrar holds {mapping.aor}")
    leg = SipLeg.outgoing(
        _names(desk, start.call_id, mapping),
        own_uri(mapping),
        target,
        token=desk.token(),
        settings=desk.legs,
    )
    runner = _runner(desk, _identity(desk, start.call_id, CallDirection.OUTGOING, mapping), leg, trace)
    runner.feed(Command(Kind.START, start))
    return runner


def incoming(desk: Desk, invite: Request, relay: Relay) -> CallRunner | policy.Refusal:
    """Begin a call of the PBX. Raises :class:`RemoteProtocolError` with what to answer."""
    mapping = policy.for_being_called(desk.mappings.by_aor(relay.aor))
    if isinstance(mapping, policy.Refusal):
        return mapping
    caller = caller_of(invite)
    call_id = call_id_of(invite, relay.aor)
    names = _names(desk, call_id, mapping)
    leg = SipLeg.incoming(names, invite, relay, token=desk.token(), settings=desk.legs)
    runner = _runner(desk, _identity(desk, call_id, CallDirection.INCOMING, mapping), leg, None)
    runner.incarnation = relay.incarnation
    runner.feed(RequestInput(Kind.INVITE, relay.transaction, sdp=bodies.sdp_of(invite), caller=caller))
    return runner


def refuse(desk: Desk, start: Start, refusal: policy.Refusal, trace: str | None) -> None:
    """Say why a call of the client does not begin."""
    now = desk.clock.utcnow()
    desk.outbox.tell(_ended(start.call_id, start.user_id, refusal, now), trace)
    desk.switchboard.over(start.call_id)
    desk.meters.refused("outgoing", refusal.reason.value, refusal.detail, start.call_id)


def decline(desk: Desk, invite: Request, relay: Relay, refusal: policy.Refusal) -> None:
    """Say to the PBX why its call does not begin, and to the dialog server that there was one."""
    call_id = call_id_of(invite, relay.aor)
    later = () if refusal.retry_after is None else (("Retry-After", str(refusal.retry_after)),)
    respond(desk, invite, relay, refusal.code, later)
    desk.meters.refused("incoming", refusal.reason.value, refusal.detail, call_id)
    mapping = desk.mappings.by_aor(relay.aor)
    if mapping is not None and mapping.peer_type is PeerType.USER:
        desk.outbox.tell(_ended(call_id, mapping.peer_id, refusal, desk.clock.utcnow()), None)


def respond(desk: Desk, request: Request, relay: Relay, code: int, headers: Sequence[tuple[str, str]] = ()) -> None:
    """Answer a request that belongs to no call of ours."""
    try:
        response = request.respond(code, headers=headers)
    except RemoteProtocolError:
        return  # It lacks what a response repeats; the registrar answers it when it waited long enough.
    answer = Relay(RelayKind.RESPONSE, relay.transaction, relay.aor, response.encode(), relay.call, desk.instance)
    desk.outbox.relay(relay.sender, answer)


def _ended(call_id: str, user_id: int, refusal: policy.Refusal, now: datetime) -> Ended:
    return Ended(
        call_id=call_id,
        seq=0,
        state=CallState.FINISHED,
        user_id=user_id,
        reason=refusal.reason,
        detail=refusal.detail,
        started_at=now,
        ended_at=now,
    )


def _names(desk: Desk, call_id: str, mapping: MappingUpserted) -> Names:
    return Names(call=call_id, aor=mapping.aor, instance=desk.instance, prefix=call_id)


def _identity(desk: Desk, call_id: str, direction: CallDirection, mapping: MappingUpserted) -> Identity:
    return Identity(call_id, direction, mapping.aor, mapping.peer_id, mapping.sip_host, desk.clock.utcnow())


def _runner(desk: Desk, identity: Identity, leg: SipLeg, trace: str | None) -> CallRunner:
    call = Call(identity, desk.limits, desk.random, desk.outside.now())
    runner = CallRunner(desk.outside, call, leg, trace=trace)
    desk.switchboard.add(runner)
    desk.meters.started(call)
    return runner
