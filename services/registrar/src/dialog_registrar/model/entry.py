"""One mapping that is held here, with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote

from dialog_schemas.registrations import RegistrationStatus
from dialog_sip.digest import DigestClient
from dialog_sip.registration import Registration, RegistrationState
from pydantic import SecretStr

from dialog_registrar.model.mapping import Mapping, Server


@dataclass(slots=True, eq=False)
class Entry:
    """A mapping, its password and its registration. Compared by identity: it is its own key."""

    mapping: Mapping
    """The row as it is now."""
    partition: int
    password: SecretStr | None = None
    """In memory only, and read again when the row's revision changes."""
    registration: Registration | None = None
    """None until password and flow are there for the first time, and for ever where none is wanted."""
    digest: DigestClient | None = None
    predecessor: RegistrationStatus | None = None
    """What the owner before us said of it, until our own registration continues it, or has replaced its binding."""
    holdup: str = ""
    """Why nothing can be done for now, in words."""
    rejected: str = ""
    """Why the row cannot be used, in words."""
    gone: bool = False
    """The row was deleted; the entry goes when its binding has."""
    asked: bool = False
    """It waits for its turn to send, or has a REGISTER on its way."""
    dropped: bool = False
    """It is no longer held; answers to its REGISTERs are ignored."""
    published: int | None = None
    """Hash of the status that was published last."""
    told: str | None = None
    """The Contact that was published as registered, for as long as nothing but times has changed since."""

    aor: str = field(init=False)
    """``sip_user@sip_host``."""
    server: Server = field(init=False)
    """The PBX."""

    def __post_init__(self) -> None:
        self.aor, self.server = self.mapping.aor, self.mapping.server

    @property
    def user(self) -> str:
        """User name, unescaped."""
        return unquote(self.mapping.user)

    @property
    def wants_binding(self) -> bool:
        """True where the row asks for a registration."""
        return self.mapping.registers and not self.gone and not self.rejected

    def leaves_binding(self, wall: datetime) -> bool:
        """Tell whether the owner before us left a binding at the PBX that may still be good."""
        old = self.predecessor
        return old is not None and old.contact is not None and old.expires_at is not None and old.expires_at > wall

    def was_bound(self, time: float) -> bool:
        """Tell whether its last grant is older than ``time``."""
        binding = None if self.registration is None else self.registration.binding
        return binding is not None and binding.registered_at < time

    @property
    def service_routes(self) -> tuple[str, ...]:
        """Service-Route of the last grant (RFC 3608)."""
        binding = None if self.registration is None else self.registration.binding
        return () if binding is None else binding.service_routes

    @property
    def is_idle(self) -> bool:
        """True where nothing is bound and nothing is on its way."""
        return self.registration is None or self.registration.state is RegistrationState.IDLE

    def deadline(self, now: float) -> float:
        """Return by when its REGISTER should be answered: what would lapse first goes first."""
        registration = self.registration
        if registration is not None and registration.binding is not None and registration.is_bound(now):
            return registration.binding.expires_at
        return now + FRESH_WITHIN

    def held_up_until(self, now: float, jitter: float) -> float:
        """Return when to ask again whether its REGISTER may be sent: spread, but soon where a binding is to end."""
        spread = min(max((self.deadline(now) - now) / 4, HELD_UP), 3 * HELD_UP)
        return now + HELD_UP + spread * jitter


HELD_UP = 1.0
"""Seconds at least until a REGISTER that may not be sent now is tried again."""
FRESH_WITHIN = 10.0
"""Seconds that a REGISTER without a binding to lose stands back for those that have one."""
