"""What came of a run: for machines as JSON, for people as tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dialog_console.chaos.model import lapses
from dialog_console.chaos.model.edits import Plan
from dialog_console.chaos.model.evidence import Evidence
from dialog_console.chaos.model.schedule import Schedule
from dialog_console.chaos.model.verdicts import Verdict
from dialog_console.chaos.size import Size

if TYPE_CHECKING:
    from rich.console import Group

_SHOWN = 5
"""Problems of one check in the table; the JSON has more."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    size: Size
    schedule: Schedule
    plan: Plan
    evidence: Evidence
    verdicts: list[Verdict]
    timeline: list[tuple[float, str]]
    settled_after: float
    """Seconds from the last fault until everything was as it should be."""
    lapses_excused: int

    @property
    def ok(self) -> bool:
        """True where everything held."""
        return all(verdict.ok for verdict in self.verdicts)

    @property
    def _ended_with_rows(self) -> int:
        """Bindings that ran out because their rows had changed: a wrong password, a PBX that was away meanwhile."""
        return len(self.evidence.lapses) - self.lapses_excused - len(lapses.unexcused(self.evidence))

    def figures(self) -> dict[str, object]:
        """Return what was done and seen, in numbers."""
        bound = sum(row.is_bound for row in self.plan.last.values())
        return {
            "seed": self.size.seed,
            "faults": len(self.schedule.faults),
            "seconds": round(self.schedule.lasts),
            "mappings at the start / end": f"{len(self.plan.first)} / {len(self.plan.last)}",
            "of these to be registered": bound,
            "edits": len(self.plan.edits),
            "seconds granted": self.size.granted,
            "statuses": len(self.evidence.history),
            "settled after, seconds": round(self.settled_after, 1),
            "bindings that ended with their rows": self._ended_with_rows,
            "lapses that were the schedule's": self.lapses_excused,
            "REGISTERs of a user in 20 s": self.evidence.most_in_20_s,
            "searched for secrets": ", ".join(
                f"{n / 1e6:.1f} MB of {kind}" for kind, n in self.evidence.searched.items()
            ),
        }

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "ok": self.ok,
            "figures": self.figures(),
            "checks": [
                {"name": it.name, "ok": it.ok, "count": it.count, "problems": it.problems} for it in self.verdicts
            ],
            "faults": [
                {"number": it.number, "act": it.sort.act, "part": it.instance, "at": it.at, "lasts": it.lasts}
                for it in self.schedule.faults
            ],
            "edits": Counter(edit.deed.value for edit in self.plan.edits),
            "lapses": [asdict(lapse) for lapse in self.evidence.lapses],
            "oddities": list(self.evidence.oddities),
            "away": [asdict(span) for span in self.evidence.blocked],
            "timeline": self.timeline,
        }

    def tables(self) -> Group:
        """Return it for people; the timeline was told while it ran."""
        from rich.console import Group
        from rich.table import Table

        checks = Table("must hold", "", "what is wrong", title=f"dialog-sip chaos --seed {self.size.seed}")
        for verdict in self.verdicts:
            shown = "\n".join(verdict.problems[:_SHOWN]) + (
                f"\n({verdict.count} in all)" if verdict.count > _SHOWN else ""
            )
            checks.add_row(verdict.name, "[green]held" if verdict.ok else "[red]broken", shown)
        figures = Table("", "", show_header=False)
        for name, value in self.figures().items():
            figures.add_row(name, str(value))
        return Group(figures, checks)
