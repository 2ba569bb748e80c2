"""What a benchmark yields: rows with a value, an aim where there is one, and what others reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound that a value has to keep."""

    bound: float
    at_most: bool = True
    """True: the value may not be above; False: not below."""

    def reached_by(self, value: float) -> bool:
        """Tell whether ``value`` keeps the bound; what is not a number never does."""
        return not math.isnan(value) and (value <= self.bound if self.at_most else value >= self.bound)

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {number(self.bound)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured value."""

    name: str
    value: float
    unit: str
    aim: Aim | None = None
    peers: str = ""
    """What others reach on the same kind of machine, in words."""

    @property
    def ok(self) -> bool | None:
        """Whether the aim was reached; None where there is none."""
        return None if self.aim is None else self.aim.reached_by(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return the row with the keys name, value, unit, aim, peers, ok; not a number becomes null."""
        value = self.value if math.isfinite(self.value) else None
        aim = None if self.aim is None else str(self.aim)
        return {
            "name": self.name, "value": value, "unit": self.unit,
            "aim": aim, "peers": self.peers or None, "ok": self.ok,
        }  # fmt: skip


def number(value: float) -> str:
    """Return ``value`` with three significant digits or all of its integer part."""
    if not math.isfinite(value):
        return str(value)
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(0, 3 - whole)}f}" if abs(value) >= 1 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; not a number where there are no values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else math.nan


def all_reached(rows: Iterable[Row]) -> bool:
    """Tell whether each row that has an aim reached it."""
    return all(row.ok is not False for row in rows)
