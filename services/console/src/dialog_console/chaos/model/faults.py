"""Every fault there is, as a table: what is done to whom, for how long, and what it keeps from being done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """Who suffers."""

    PROVISIONER = "provisioner"
    REGISTRAR = "registrar"
    BROKER = "kafka"
    TABLE = "postgres"
    KAMAILIO = "kamailio"
    SIMULATOR = "simulator"


class Act(StrEnum):
    """What is done."""

    KILL = "SIGKILL"
    TERMINATE = "SIGTERM"
    STOP = "SIGSTOP"
    """And SIGCONT once it lasted long enough."""
    RESTART = "restart"
    """All bindings are forgotten."""
    LOSS = "5 % loss"
    BRIEF = "423"
    UNAVAILABLE = "503"
    STALE = "nonces of one use"
    WRONG_NONCE = "wrong nonce"
    """No credentials are right, with any nonce."""
    AWAY = "silence"


@dataclass(frozen=True, slots=True)
class Sort:
    """A row of the table. Times are seconds."""

    act: Act
    target: Target
    shortest: float = 0.0
    longest: float = 0.0
    recovers: float = 0.0
    """From its end until what it struck works again, as a rule."""
    hinders: float = 0.0
    """For how long some registration cannot be refreshed because of it, ``shortest`` to ``longest`` not counted."""
    weight: int = 2

    @property
    def is_of_pbx(self) -> bool:
        """True where a PBX misbehaves and no process of ours suffers."""
        return self.target in {Target.KAMAILIO, Target.SIMULATOR}

    @property
    def blocks(self) -> bool:
        """True where REGISTERs get no 200, or nobody sends them."""
        return self.hinders > 0


SORTS: tuple[Sort, ...] = (
    Sort(Act.KILL, Target.PROVISIONER, recovers=3),
    Sort(Act.TERMINATE, Target.PROVISIONER, recovers=3),
    Sort(Act.STOP, Target.PROVISIONER, 1, 8, recovers=2),
    Sort(Act.KILL, Target.REGISTRAR, recovers=5, hinders=4, weight=4),
    Sort(Act.TERMINATE, Target.REGISTRAR, recovers=5, hinders=2, weight=3),
    Sort(Act.STOP, Target.REGISTRAR, 1, 8, recovers=4, hinders=4, weight=4),
    Sort(Act.KILL, Target.BROKER, recovers=6, hinders=4),
    Sort(Act.TERMINATE, Target.BROKER, recovers=6, hinders=4, weight=1),
    Sort(Act.STOP, Target.BROKER, 1, 4, recovers=3, hinders=4, weight=1),
    Sort(Act.KILL, Target.TABLE, recovers=3, hinders=3),
    Sort(Act.TERMINATE, Target.TABLE, recovers=3, hinders=3, weight=1),
    Sort(Act.STOP, Target.TABLE, 1, 5, recovers=1, hinders=3, weight=1),
    Sort(Act.RESTART, Target.KAMAILIO, recovers=1, hinders=2),
    Sort(Act.STOP, Target.KAMAILIO, 1, 2, hinders=1, weight=1),
    Sort(Act.RESTART, Target.SIMULATOR, 1, 2, hinders=1, weight=1),
    Sort(Act.LOSS, Target.SIMULATOR, 5, 15, weight=4),
    Sort(Act.BRIEF, Target.SIMULATOR, 3, 10),
    Sort(Act.UNAVAILABLE, Target.SIMULATOR, 1, 2, hinders=1),
    Sort(Act.STALE, Target.SIMULATOR, 3, 10, weight=1),
    Sort(Act.WRONG_NONCE, Target.SIMULATOR, 1, 2, hinders=1),
    Sort(Act.AWAY, Target.SIMULATOR, 1, 2, hinders=1),
)
"""Each kind of process is killed, told to end and stopped; each PBX does wrong what it can."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a schedule. Times are seconds from its begin."""

    number: int
    sort: Sort
    instance: str
    """Name of the part that suffers: ``registrar-1``, ``kafka``, ``simulator``..."""
    at: float
    lasts: float

    @property
    def ends(self) -> float:
        """When it is taken back."""
        return self.at + self.lasts

    @property
    def over(self) -> float:
        """When what it struck works again, as a rule."""
        return self.ends + self.sort.recovers

    @property
    def hinders(self) -> float:
        """For how many seconds some registration cannot be refreshed because of it."""
        return self.sort.hinders + (self.lasts if self.sort.is_of_pbx and self.sort.blocks else 0)

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.sort.act} {self.instance}{lasts}"
