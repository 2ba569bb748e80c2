"""What was seen of a run. Times are seconds of the wall clock since 1970."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dialog_runtime.table.check import Checked
from dialog_schemas.registrations import RegistrationStatus

from dialog_console.chaos.model.edits import Pbx, Row, Table


@dataclass(frozen=True, slots=True)
class Span:
    """A part that could not do its work."""

    what: str
    """Name of the part."""
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Lapse:
    """A binding whose time ran out at its PBX, with nobody to renew it."""

    user: str
    pbx: Pbx
    ended: float
    granted: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class RowWas:
    """What a row became, and between which moments that was committed; None: it was deleted."""

    begun: float
    done: float
    row: Row | None


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret where none may be."""

    where: str
    what: str
    """Which secret; never the secret itself."""


@dataclass(slots=True)
class State:
    """How the system stands, at one moment."""

    at: float
    table: Table = field(default_factory=dict)
    """What the real table says, in the words of the plan."""
    rows: Mapping[str, Checked] = field(default_factory=dict)
    """AOR -> the event that its row should be on ``sip.mappings``; revisions end in the row's ``xmin``."""
    mappings: Mapping[str, Checked] = field(default_factory=dict)
    """``sip.mappings``, compacted."""
    statuses: Mapping[str, RegistrationStatus] = field(default_factory=dict)
    """``sip.registrations``, compacted."""
    bindings: Mapping[Pbx, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """User -> Contacts, for each PBX."""


@dataclass(slots=True)
class Evidence:
    """Everything that was seen."""

    planned: Table
    state: State
    granted: float
    """Seconds that the PBXs grant."""
    history: Sequence[tuple[str, RegistrationStatus | None]] = ()
    """``sip.registrations`` as committed, partition after partition; None is a tombstone."""
    rows: Mapping[str, Sequence[RowWas]] = field(default_factory=dict)
    """User -> what its row was, in order."""
    blocked: Sequence[Span] = ()
    """When which part could not do its work."""
    lapses: Sequence[Lapse] = ()
    leaks: Sequence[Leak] = ()
    searched: Mapping[str, int] = field(default_factory=dict)
    """Where secrets were looked for -> bytes."""
    oddities: Sequence[str] = ()
    """REGISTERs that made one of the next two numbers what it is, in words."""
    cseq_back: int = 0
    """REGISTERs that the simulator got with a CSeq that was not above the last of the same Call-ID."""
    most_in_20_s: int = 0
    """REGISTER transactions of one user at the simulator, of all registrars together."""
    ended_by_themselves: Sequence[str] = ()
    """Parts that ended without a fault."""
    cores: Sequence[str] = ()
    """Core dumps."""
