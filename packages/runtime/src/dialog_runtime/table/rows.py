"""A row of ``sip_user_mappings`` as the table has it: every column as text or NULL, whatever type it has there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

AOR_MAX = 480
"""Longest AOR in characters: the 512 of the event contract, less room for the number of a second row."""


class Address(NamedTuple):
    """``sip_user`` and ``sip_host`` of a row, as they stand there."""

    user: str | None
    host: str | None

    @property
    def aor(self) -> str:
        """Return the key of the row on every topic; an unusable row has one as well, so that it can be reported."""
        return f"{self.user or ''}@{self.host or ''}"[:AOR_MAX]


class Head(NamedTuple):
    """Enough of a row to see that it has changed."""

    address: Address
    revision: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row without its password. ``revision`` changes whenever the row does."""

    sip_user: str | None
    sip_host: str | None
    revision: str
    sip_port: str | None = None
    sip_parameters: str | None = None
    sip_headers: str | None = None
    peer_type: str | None = None
    peer_id: str | None = None
    register: str | None = None
    can_call: str | None = None
    can_be_called: str | None = None

    @property
    def address(self) -> Address:
        """Return what identifies the row."""
        return Address(self.sip_user, self.sip_host)
