"""What the registrar counts, for Prometheus. No label holds anything of one mapping."""

from __future__ import annotations

from dialog_runtime.metrics import Metrics

_METHODS = frozenset(
    {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "REGISTER"}
)
_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)


class Meters:
    """The counters of one process."""

    def __init__(self, metrics: Metrics) -> None:
        counter = metrics.counter
        tally = metrics.tally
        self._registers = tally("registers_sent_total", "REGISTER requests sent, those with credentials included.")
        self._responses = tally("register_responses_total", "Final responses to REGISTER.", "code")
        self._failures = counter("register_failures_total", "REGISTERs without a response.", ["why"])
        self._latency = metrics.durations("register_seconds", "From REGISTER to its final response.", _LATENCIES)
        self._relayed = counter("relay_requests_total", "Requests of bridges sent to PBXs.", ["method"])
        self._answers = counter("relay_responses_total", "Responses of PBXs to them.", ["method", "code"])
        self._received = counter("sip_requests_total", "Requests that PBXs sent.", ["method"])
        self._dropped = counter("relay_dropped_total", "Messages that led nowhere.", ["what"])
        self._unanswered = counter(
            "relay_unanswered_total", "Requests of PBXs that no bridge answered in time.", ["method"]
        )
        self._passwords = counter("password_reads_total", "Reads of the table.", ["outcome"])

    def register_sent(self) -> None:
        """Count a REGISTER transaction."""
        self._registers.of[""] += 1

    def register_answered(self, code: int, seconds: float) -> None:
        """Count a final response to REGISTER."""
        self._responses.of[str(code)] += 1
        self._latency.observe(seconds)

    def register_failed(self, why: str) -> None:
        """Count a REGISTER that got none."""
        self._failures.labels(why).inc()

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
