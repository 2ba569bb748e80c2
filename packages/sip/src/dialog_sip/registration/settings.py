"""What a registration is told from outside (RFC 3261 section 10.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Account(NamedTuple):
    """Whom to register, and where (RFC 3261 section 10.2)."""

    aor: str
    """``sip:user@host``: To and From of every REGISTER (RFC 3261 section 10.2)."""
    registrar: str
    """``sip:host``: the Request-URI, without a user."""


@dataclass(frozen=True, slots=True)
class RegistrationSettings:
    """How to register (RFC 3261 section 10.2); shared by all registrations of a process. Times are seconds."""

    expires: int = 1800
    """The Expires asked for."""
    interval: float = 1800
    """At most so long between two REGISTERs; never longer than the grant allows, whatever this says."""
    longest_expires: int = 86_400
    """A PBX that wants more in a 423 is not obeyed."""
    backoff: float = 4
    """Upper bound of the first wait after a failure; it doubles with each."""
    longest_backoff: float = 120
    slow_backoff: float = 60
    """The same after an answer that refuses."""
    longest_slow_backoff: float = 1800
    longest_retry_after: float = 3600
    """A PBX that says more is tried again after this."""
    instance: str | None = None
    """``urn:uuid:...``: registers with outbound (RFC 5626 section 4.1)."""
    user_agent: str = ""
    """What User-Agent says; empty: there is none."""
    reg_id: int = 1
    """Which of the flows of one instance this is (RFC 5626 section 4.2); each is a registration of its own."""
    remember_minimum: float = 86_400
    """How long the longer time is asked for that a 423 wanted; then the PBX may have changed its mind."""
