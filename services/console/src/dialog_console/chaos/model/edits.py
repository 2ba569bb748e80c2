"""What administrators and dialog users do to the table meanwhile, and what it says in the end.

Theory of operation. A plan is drawn from the seed by playing it on a table in memory, so that each edit makes sense
where it stands. An edit says what becomes of some rows, not how they change (*this row is so now*, *these rows are
gone*): after a connection that broke, it is simply done once more, whether or not it had been committed. The table of
the plan is what the real one must be in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

FIRST_DIALOG_USER = 1000
BATCH = (10, 40)
"""Rows of one COPY."""


class Pbx(StrEnum):
    """Where a mapping registers."""

    KAMAILIO = "kamailio"
    SIMULATOR = "simulator"


@dataclass(frozen=True, slots=True)
class Row:
    """A row, as far as chaos edits it."""

    user: str
    pbx: Pbx
    register: bool = True
    right: bool = True
    """The password is the PBX's."""
    usable: bool = True
    can_call: bool = True
    version: int = 0
    """Counts edits that change nothing but the row's revision."""

    @property
    def is_bound(self) -> bool:
        """True where the PBX is to hold a binding."""
        return self.register and self.right and self.usable


Table = dict[str, Row]
"""User -> row."""


class Deed(StrEnum):
    """What is done."""

    INSERT = "insert"
    COPY = "COPY"
    PASSWORD = "update password"  # noqa: S105  no password
    REGISTER = "update register"
    TOUCH = "update can_call"
    MOVE = "update sip_port"
    SPOIL = "update sip_parameters"
    DELETE = "delete"
    CREATE_USER = "user-created"
    DELETE_USER = "user-deleted"


@dataclass(frozen=True, slots=True)
class Edit:
    """One transaction, or for dialog users one event."""

    at: float
    deed: Deed
    rows: tuple[Row, ...] = ()
    """Rows that are so now."""
    gone: tuple[str, ...] = ()
    """Users whose rows are deleted."""
    dialog_user: int = 0
    """Id, for the two events."""

    @property
    def users(self) -> tuple[str, ...]:
        """Whose rows it is about."""
        return (*(row.user for row in self.rows), *self.gone)


@dataclass(slots=True)
class Plan:
    """The table at the start, the edits in order, and the table at the end."""

    first: tuple[Row, ...]
    edits: list[Edit] = field(default_factory=list)
    last: Table = field(default_factory=dict)


_WEIGHTS = {
    Deed.INSERT: 16, Deed.COPY: 2, Deed.PASSWORD: 12, Deed.REGISTER: 20, Deed.TOUCH: 16, Deed.MOVE: 4, Deed.SPOIL: 4,
    Deed.DELETE: 16, Deed.CREATE_USER: 6, Deed.DELETE_USER: 4,
}  # fmt: skip


def plan(seed: int, mappings: int, seconds: float, per_second: float) -> Plan:
    """Return a plan for a table of about so many rows, half of them at each PBX."""
    rng = Random(f"{seed}/edits")  # noqa: S311  to be repeated
    first = tuple(_new_row(number, rng) for number in range(1, mappings + 1))
    planner = _Planner(rng, Plan(first, last={row.user: row for row in first}), mappings)
    at = 0.0
    while (at := at + rng.expovariate(per_second)) < seconds:
        planner.draw(round(at, 2))
    return planner.plan


def dialog_user_row(user_id: int) -> Row:
    """Return the row that autocreate gives a dialog user."""
    return Row(f"d{user_id}", Pbx.SIMULATOR)


def _new_row(number: int, rng: Random) -> Row:
    return Row(f"u{number:05}", rng.choice(tuple(Pbx)))


class _Planner:
    """Draws edits and plays them."""

    def __init__(self, rng: Random, plan: Plan, size: int) -> None:
        self.plan = plan
        self._rng = rng
        self._size = size
        self._numbers = size
        self._dialog_users: list[int] = []
        self._next_dialog_user = FIRST_DIALOG_USER
        self._deeds: dict[Deed, Callable[[float], Edit | None]] = {
            Deed.INSERT: self._insert,
            Deed.COPY: self._copy,
            Deed.PASSWORD: lambda at: self._change(at, Deed.PASSWORD, self._other_password),
            Deed.REGISTER: lambda at: self._change(at, Deed.REGISTER, _switch_register),
            Deed.TOUCH: lambda at: self._change(at, Deed.TOUCH, _switch_calls),
            Deed.MOVE: lambda at: self._change(at, Deed.MOVE, _move),
            Deed.SPOIL: lambda at: self._change(at, Deed.SPOIL, _spoil),
            Deed.DELETE: self._delete,
            Deed.CREATE_USER: self._create_user,
            Deed.DELETE_USER: self._delete_user,
        }  # fmt: skip

    def draw(self, at: float) -> None:
        """Add one edit, of another kind where the one that was drawn makes no sense now."""
        deeds = self._rng.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()), k=8)
        edit = next((made for deed in deeds if (made := self._deeds[deed](at)) is not None), None)
        if edit is not None:
            self.plan.edits.append(edit)
            play(edit, self.plan.last)

    def _insert(self, at: float) -> Edit:
        self._numbers += 1
        return Edit(at, Deed.INSERT, (_new_row(self._numbers, self._rng),))

    def _copy(self, at: float) -> Edit | None:
        count = self._rng.randint(*BATCH)
        if len(self.plan.last) + count > self._size * 5 // 4:
            return None
        rows = tuple(_new_row(self._numbers + number, self._rng) for number in range(1, count + 1))
        self._numbers += count
        return Edit(at, Deed.COPY, rows)

    def _change(self, at: float, deed: Deed, change: Callable[[Row], Row]) -> Edit | None:
        row = self._any_row()
        return None if row is None else Edit(at, deed, (change(row),))

    def _delete(self, at: float) -> Edit | None:
        row = self._any_row()
        return None if row is None else Edit(at, Deed.DELETE, gone=(row.user,))

    def _create_user(self, at: float) -> Edit:
        user_id, self._next_dialog_user = self._next_dialog_user, self._next_dialog_user + 1
        self._dialog_users.append(user_id)
        return Edit(at, Deed.CREATE_USER, (dialog_user_row(user_id),), dialog_user=user_id)

    def _delete_user(self, at: float) -> Edit | None:
        if not self._dialog_users:
            return None
        user_id = self._dialog_users.pop(self._rng.randrange(len(self._dialog_users)))
        return Edit(at, Deed.DELETE_USER, gone=(dialog_user_row(user_id).user,), dialog_user=user_id)

    def _other_password(self, row: Row) -> Row:
        """Make a wrong password right; write a right one again, or make it wrong."""
        again = row.right and self._rng.random() < 0.5
        return replace(row, version=row.version + 1) if again else replace(row, right=not row.right)

    def _any_row(self) -> Row | None:
        """Return a row that an administrator may edit: autocreated ones are left to their events."""
        rows: Sequence[Row] = [row for row in self.plan.last.values() if row.user.startswith("u")]
        return self._rng.choice(rows) if rows else None


def play(edit: Edit, table: Table) -> None:
    """Do an edit to a table in memory."""
    for row in edit.rows:
        table[row.user] = row
    for user in edit.gone:
        table.pop(user, None)


def _switch_register(row: Row) -> Row:
    return replace(row, register=not row.register)


def _switch_calls(row: Row) -> Row:
    return replace(row, can_call=not row.can_call)


def _spoil(row: Row) -> Row:
    """Make a usable row unusable, or mend it."""
    return replace(row, usable=not row.usable)


def _move(row: Row) -> Row:
    other = Pbx.SIMULATOR if row.pbx is Pbx.KAMAILIO else Pbx.KAMAILIO
    return replace(row, pbx=other)
