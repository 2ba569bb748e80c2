"""What the bridge counts, for Prometheus and the log."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from dialog_runtime.metrics import Metrics
from dialog_schemas.calls import Ended
from dialog_schemas.relay import Relay

from dialog_bridge.model.call import Call
from dialog_bridge.model.phases import Phase

log = structlog.get_logger(__name__)


class Meters:
    """Counters and gauges of one bridge."""

    def __init__(self, metrics: Metrics, calls: Callable[[], float]) -> None:
        metrics.watch("bridge_calls", "Calls held by this bridge", calls)
        self._placed = metrics.counter("bridge_calls_started_total", "Calls begun here", ["direction"])
        self._ended = metrics.counter("bridge_calls_ended_total", "Calls over", ["direction", "reason"])
        self._refused = metrics.counter("bridge_calls_refused_total", "Calls not begun", ["direction", "reason"])
        self._length = metrics.histogram(
            "bridge_call_seconds", "From answer to end", buckets=(1, 5, 15, 30, 60, 180, 600, 1800, 3600)
        )
        self._setup = metrics.histogram("bridge_invite_seconds", "From command to INVITE on the bus")
        self._commands = metrics.counter("bridge_commands_total", "Commands of the dialog server", ["type", "outcome"])
        self._sip = metrics.counter("bridge_sip_total", "SIP messages to and from registrars", ["way", "kind"])
        self._adopted = metrics.counter("bridge_calls_adopted_total", "Calls of dead bridges that were cleared away")

    def started(self, call: Call) -> None:
        """Count a call that begins here."""
        identity = call.identity
        self._placed.labels(identity.direction.value).inc()
        log.info("call begins", call_id=identity.call_id, aor=identity.aor, direction=identity.direction.value)

    def refused(self, direction: str, reason: str, detail: str, call_id: str) -> None:
        """Count a call that does not begin."""
        self._refused.labels(direction, reason).inc()
        log.info("call refused", call_id=call_id, direction=direction, reason=reason, detail=detail)

    def sent(self, call: Call, relay: Relay) -> None:
        """Count a SIP message of ours."""
        self._sip.labels("out", relay.kind.value).inc()
        if call.phase is Phase.INVITING:
            self._setup.observe(max(0.0, (call.now.utc - call.identity.started_at).total_seconds()))

    def heard(self, relay: Relay) -> None:
        """Count a SIP message that came."""
        self._sip.labels("in", relay.kind.value).inc()

    def ended(self, call: Call, event: Ended) -> None:
        """Count a call that is over."""
        identity = call.identity
        self._ended.labels(identity.direction.value, event.reason.value).inc()
        if event.answered_at is not None:
            self._length.observe(max(0.0, (event.ended_at - event.answered_at).total_seconds()))
        log.info(
            "call ended",
            call_id=identity.call_id,
            aor=identity.aor,
            reason=event.reason.value,
            detail=event.detail,
            sip_code=event.sip_code,
        )

    def command(self, name: str, outcome: str) -> None:
        """Count a command and what became of it: handled, forwarded, repeated or ignored."""
        self._commands.labels(name, outcome).inc()

    def adopted(self, call: Call, dead: str) -> None:
        """Count a call that is cleared away in a dead bridge's place."""
        self._adopted.inc()
        log.warning("call adopted", call_id=call.identity.call_id, dead=dead)
