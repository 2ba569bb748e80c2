"""What the provisioner needs from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from dialog_runtime.bus.errors import PermanentError, TransientError
from dialog_runtime.table.check import Checked
from dialog_runtime.table.rows import Address, Head, Row

from dialog_provisioner.model.autocreate import NewRow, Origin
from dialog_provisioner.model.diff import Change


class TableUnavailableError(TransientError):
    """The table cannot be reached or used now. Says what an administrator can do; trying again later may help."""


class RowRefusedError(PermanentError):
    """The database refuses a row for what it holds: trying again does not help."""


class TopicUnavailableError(TransientError):
    """Kafka does not take a record; trying again later may help."""


class LeadershipLostError(Exception):
    """Another provisioner may lead the watch from here on."""


class Fingerprint(NamedTuple):
    """Changes whenever a row of the table does."""

    rows: int
    revisions: int


class Rows(Protocol):
    """The table, read. Each method raises :class:`TableUnavailableError`."""

    async def prepare(self) -> bool:
        """Create what is missing and may be created. Returns True where a trigger tells of every change."""

    async def in_place(self) -> bool:
        """Tell whether the table is the one that was prepared, triggers included."""

    async def fingerprint(self) -> Fingerprint:
        """Return a value that differs from the last one where any row changed."""

    async def forget_removed(self) -> None:
        """Drop what is kept of removed rows, where it is too old to be of use; only where triggers are in place."""

    def heads(self) -> AsyncIterator[Sequence[Head]]:
        """Yield the heads of all rows in batches."""

    async def of(self, addresses: Collection[Address]) -> Sequence[Row]:
        """Return all rows with these addresses."""


class Users(Protocol):
    """Rows that autocreate owns. Done twice, a method changes nothing the second time.

    Each raises :class:`TableUnavailableError` where trying again later may help, else :class:`RowRefusedError`.
    """

    async def create(self, row: NewRow, origin: Origin) -> bool:
        """Insert ``row`` unless its AOR is there. Returns True where it did."""

    async def delete(self, user_id: int, sip_user: str, sip_host: str, origin: Origin) -> int:
        """Delete the rows that were autocreated for a user. Returns how many.

        ``sip_user`` and ``sip_host`` are what autocreate would write for it today, for rows of which there is no
        record.
        """


class Leadership(Protocol):
    """Of all provisioners one leads the watch."""

    async def lead(self, work: Callable[[], Awaitable[None]], waiting: Callable[[], None]) -> None:
        """Wait until this one leads, then run ``work``; return when it does. ``waiting`` is called when another leads.

        Raises :class:`LeadershipLostError` and cancels ``work`` when another may lead, :class:`TableUnavailableError`
        while the database is away.
        """


class Topic(Protocol):
    """``sip.mappings``."""

    @property
    def published(self) -> Mapping[str, Checked]:
        """Return key -> last event, as it was read or written here."""

    async def ready(self) -> None:
        """Return once everything that was on the topic is in :attr:`published`."""

    async def publish(self, changes: Sequence[Change]) -> None:
        """Write and wait for the broker. Raises :class:`TopicUnavailableError`; some of it may be there then."""
