"""What the edge has to know of a mapping."""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr

from dialog_registrar.model.mapping import Server


class Account(Protocol):
    """A mapping that is held here."""

    @property
    def aor(self) -> str:
        """``sip_user@sip_host``."""

    @property
    def user(self) -> str:
        """User part of the AOR and of the Contact, and the user name of credentials."""

    @property
    def server(self) -> Server:
        """The PBX."""

    @property
    def password(self) -> SecretStr | None:
        """The password; None until it was read from the table."""

    @property
    def service_routes(self) -> tuple[str, ...]:
        """Service-Route of the last grant (RFC 3608)."""


class Accounts(Protocol):
    """The mappings that are held here."""

    def account(self, aor: str) -> Account | None:
        """Find a mapping by its AOR."""

    def account_at(self, server: Server, user: str) -> Account | None:
        """Find a mapping by its flow and the (unescaped) user part of a URI."""
