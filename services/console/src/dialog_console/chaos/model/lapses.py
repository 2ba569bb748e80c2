"""Which lapses count: those of a binding that its row wanted all along, and that somebody could have renewed.

Theory of operation. The last part of a grant, the *margin*, is what is left for a refresh that does not succeed at
once. A lapse is excused only if :data:`EXCUSED` of the margin was lost because nobody could have got a 200: the PBX
did not give one by order of the schedule, no registrar ran, or one was down while the broker that has to say so was
down as well. A registrar that is down alone excuses nothing. The schedule's guard should leave nothing to excuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from dialog_console.chaos.model.edits import Pbx
from dialog_console.chaos.model.evidence import Evidence, Lapse, RowWas, Span
from dialog_console.chaos.model.faults import Target
from dialog_console.chaos.model.schedule import INSTANCES, margin

EXCUSED = 0.5
"""Part of the margin."""
_SLACK = 10.0
"""Seconds around a change of a row in which its binding may end: it was unregistered, or was to be."""


def unexcused(evidence: Evidence) -> list[Lapse]:
    """Return the lapses that should not have been."""
    return [
        lapse for lapse in evidence.lapses
        if was_wanted(lapse, evidence.rows.get(lapse.user, ())) and not is_excused(lapse, evidence.blocked)
    ]  # fmt: skip


def excused(evidence: Evidence) -> int:
    """Return how many lapses of wanted bindings nobody could have prevented."""
    wanted = (lapse for lapse in evidence.lapses if was_wanted(lapse, evidence.rows.get(lapse.user, ())))
    return sum(is_excused(lapse, evidence.blocked) for lapse in wanted)


def was_wanted(lapse: Lapse, history: Sequence[RowWas]) -> bool:
    """Tell whether the row asked for this binding from its grant on until after its end, whatever else was edited."""
    granted_at = lapse.ended - lapse.granted - _SLACK
    settled = [was for was in history if was.done < granted_at]
    moving = [was for was in history if was.done >= granted_at and was.begun < lapse.ended + _SLACK]
    rows = [was.row for was in (*settled[-1:], *moving)]
    return bool(settled) and all(row is not None and row.is_bound and row.pbx is lapse.pbx for row in rows)


def is_excused(lapse: Lapse, blocked: Sequence[Span]) -> bool:
    """Tell whether too little of the margin was left to renew it in."""
    length = margin(lapse.granted)
    return lost(lapse.pbx, lapse.ended - length, lapse.ended, blocked) > EXCUSED * length


def lost(pbx: Pbx, begin: float, end: float, blocked: Sequence[Span]) -> float:
    """Return for how many seconds between two moments nobody could have got a 200 from a PBX."""
    registrars = INSTANCES[Target.REGISTRAR]

    def hopeless(at: float) -> bool:
        down = {span.what for span in blocked if span.begun <= at < span.ended}
        missing = sum(name in down for name in registrars)
        return pbx.value in down or missing == len(registrars) or (missing > 0 and Target.BROKER.value in down)

    return _measure(begin, end, (edge for span in blocked for edge in (span.begun, span.ended)), hopeless)


def _measure(begin: float, end: float, edges: Iterable[float], true_at: Callable[[float], bool]) -> float:
    """Return for how long something is true that changes only at ``edges``."""
    cuts = [begin, *sorted(edge for edge in edges if begin < edge < end), end]
    return sum(right - left for left, right in pairwise(cuts) if true_at(left))
