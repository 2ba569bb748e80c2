"""How large a run is."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_A_FAULT = 12.0
"""Unless ``--minutes`` says otherwise."""
DEFAULT_FAULTS = 60
DEFAULT_MAPPINGS = 1000
_SHORT, _LONG = 40, 90
"""Seconds that the PBXs grant: short enough that each binding is refreshed again and again."""
_LONG_FROM = 300.0
"""Seconds from which a run is long."""
_EDITS_A_SECOND_AND_MAPPING = 1 / 200


@dataclass(frozen=True, slots=True)
class Size:
    """What a run is made of."""

    seed: int
    faults: int = DEFAULT_FAULTS
    mappings: int = DEFAULT_MAPPINGS
    seconds: float = DEFAULT_FAULTS * SECONDS_A_FAULT
    """Over which the faults are spread."""

    @property
    def granted(self) -> int:
        """Seconds that the PBXs grant."""
        return _LONG if self.seconds >= _LONG_FROM else _SHORT

    @property
    def edits_a_second(self) -> float:
        """How often the table is edited."""
        return max(1.0, self.mappings * _EDITS_A_SECOND_AND_MAPPING)
