"""Which fault when: drawn from a seed, and moved until the guard lets it happen.

Theory of operation. Every sort of fault comes once before any comes twice, as far as the number allows; the others are
drawn by their weight. They are spread over the run, a slot each with a random place in it. The *guard* keeps at least
one registrar within reach of every binding:

1. Never two registrars at once, and never the same part twice.
2. What keeps a registration from being refreshed adds up where it overlaps: a registrar that died, a broker that its
   successor needs to be told so, a table that it reads passwords from, a PBX that does not answer. The sum stays below
   :data:`SHARE` of the *margin*, the time between the latest refresh and the end of a grant.

A fault that the guard refuses is put off until it may happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dialog_console.chaos.model.faults import SORTS, Act, Fault, Sort, Target

SHARE = 0.7
"""Part of the margin that faults may take."""
_STEP = 0.5
_MARGIN, _SHORTEST_MARGIN = 0.15, 5.0
"""How registrars refresh: so much of a grant before its end, and so many seconds at least."""

INSTANCES = {
    Target.PROVISIONER: ("provisioner-1", "provisioner-2"),
    Target.REGISTRAR: ("registrar-1", "registrar-2"),
}
"""Parts that there is more than one of."""


def margin(granted: float) -> float:
    """Return the seconds between the latest refresh and the end of a grant."""
    return max(granted * _MARGIN, min(_SHORTEST_MARGIN, granted / 2))


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is to happen, in order."""

    seed: int
    faults: tuple[Fault, ...]

    @property
    def lasts(self) -> float:
        """Seconds until the last fault is over."""
        return max((fault.over for fault in self.faults), default=0.0)


def generate(seed: int, count: int, seconds: float, granted: float) -> Schedule:
    """Return ``count`` faults over about so many seconds, for bindings of ``granted`` seconds."""
    rng = Random(f"{seed}/faults")  # noqa: S311  to be repeated
    budget = SHARE * margin(granted)
    slot = seconds / max(count, 1)
    placed: list[Fault] = []
    for number, sort in enumerate(_draw(rng, count)):
        lasts = round(rng.uniform(sort.shortest, sort.longest), 1)
        instance = rng.choice(INSTANCES.get(sort.target, (str(sort.target),)))
        fault = Fault(0, sort, instance, round((number + rng.random()) * slot, 1), lasts)
        while not allowed(fault, placed, budget):
            fault = Fault(0, sort, instance, round(fault.at + _STEP, 1), lasts)
        placed.append(fault)
    placed.sort(key=lambda fault: fault.at)
    numbered = (Fault(n, it.sort, it.instance, it.at, it.lasts) for n, it in enumerate(placed, start=1))
    return Schedule(seed, tuple(numbered))


def allowed(fault: Fault, placed: Sequence[Fault], budget: float) -> bool:
    """Apply the guard to one more fault."""
    beside = [other for other in placed if other.at < fault.over and fault.at < other.over]
    if any(_collide(fault, other) for other in beside):
        return False
    if not fault.sort.blocks:
        return True
    blocking = [other for other in beside if other.sort.blocks]
    return not blocking or _hindered(fault, blocking) <= budget


def _hindered(fault: Fault, others: Sequence[Fault]) -> float:
    """Add up what hinders registrations together with ``fault``; what cannot by itself is not counted alone."""
    together = [fault, *others]
    if not any(it.sort.target is Target.REGISTRAR or it.sort.is_of_pbx for it in together):
        return 0.0
    return sum(it.hinders for it in together)


def _collide(one: Fault, other: Fault) -> bool:
    if one.instance == other.instance:
        # Loss goes with anything else that a PBX does.
        return not one.sort.is_of_pbx or Act.LOSS not in {one.sort.act, other.sort.act} or one.sort == other.sort
    return one.sort.target is Target.REGISTRAR and other.sort.target is Target.REGISTRAR


def _draw(rng: Random, count: int) -> list[Sort]:
    """Return so many sorts: whole rounds of all of them first, then by weight, in random order."""
    each = rng.sample(SORTS, len(SORTS))
    drawn = each[:count]
    drawn += rng.choices(SORTS, [sort.weight for sort in SORTS], k=max(0, count - len(each)))
    rng.shuffle(drawn)
    return drawn
