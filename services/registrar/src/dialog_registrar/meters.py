"""What the registrar counts, for Prometheus. No label holds anything of one mapping."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_METHODS = frozenset(
    {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "REGISTER"}
)
_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)


class Meters:
    """The counters of one process, in a registry of its own or the one that is given."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        into = registry if registry is not None else CollectorRegistry()
        self._states = Gauge("registrar_registrations", "Mappings held here, by state.", ["state"], registry=into)
        self._in_flight = Gauge("registrar_registers_in_flight", "REGISTERs without a final response yet.", registry=into)
        self._waiting = Gauge("registrar_registers_waiting", "REGISTERs that wait for their turn.", registry=into)
        self._registers = Counter("registrar_registers_sent", "REGISTER transactions started.", registry=into)
        self._responses = Counter("registrar_register_responses", "Responses to REGISTER.", ["code"], registry=into)
        self._failures = Counter("registrar_register_failures", "REGISTERs without a response.", ["why"], registry=into)
        self._latency = Histogram(
            "registrar_register_seconds", "From REGISTER to its final response.", buckets=_LATENCIES, registry=into
        )
        self._relayed = Counter("registrar_relay_requests", "Requests of bridges sent.", ["method"], registry=into)
        self._answers = Counter("registrar_relay_responses", "Responses to them.", ["method", "code"], registry=into)
        self._received = Counter("registrar_sip_requests", "Requests that PBXs sent.", ["method"], registry=into)
        self._dropped = Counter("registrar_relay_dropped", "Relayed messages that led nowhere.", ["what"], registry=into)
        self._unanswered = Counter(
            "registrar_relay_unanswered", "Requests of PBXs that no bridge answered in time.", ["method"], registry=into
        )
        self._passwords = Counter("registrar_password_fetches", "Reads of the table.", ["outcome"], registry=into)

    def register_sent(self) -> None:
        """Count a REGISTER transaction."""
        self._registers.inc()

    def register_answered(self, code: int, seconds: float) -> None:
        """Count a final response to REGISTER."""
        self._responses.labels(str(code)).inc()
        self._latency.observe(seconds)

    def register_failed(self, why: str) -> None:
        """Count a REGISTER that got none."""
        self._failures.labels(why).inc()

    def registrations(self, states: dict[str, int], in_flight: int, waiting: int) -> None:
        """Show where the mappings stand."""
        for state, count in states.items():
            self._states.labels(state).set(count)
        self._in_flight.set(in_flight)
        self._waiting.set(waiting)

    def relay_request(self, method: str) -> None:
        """Count a request of a bridge that was sent."""
        self._relayed.labels(_named(method)).inc()

    def relay_response(self, method: str, code: int) -> None:
        """Count a response to it."""
        self._answers.labels(_named(method), str(code)).inc()

    def relay_dropped(self, what: str) -> None:
        """Count a message that led nowhere."""
        self._dropped.labels(what if what.islower() else _named(what)).inc()

    def relay_timed_out(self, method: str) -> None:
        """Count a request of a PBX that no bridge answered in time."""
        self._unanswered.labels(_named(method)).inc()

    def sip_request(self, method: str) -> None:
        """Count a request of a PBX."""
        self._received.labels(_named(method)).inc()

    def passwords_fetched(self, *, ok: bool) -> None:
        """Count a read of the table."""
        self._passwords.labels("ok" if ok else "away").inc()


def _named(method: str) -> str:
    # Peers choose methods; they must not choose how many series there are.
    return method if method in _METHODS else "other"
