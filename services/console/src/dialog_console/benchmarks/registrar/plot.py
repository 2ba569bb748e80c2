"""The outage as a picture: an SVG of three panels over one time axis, written by hand and small."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dialog_sandbox.simulator.counts import Sample

WIDTH, PANEL, GAP, LEFT, TOP, RIGHT = 760, 130, 44, 70, 56, 20
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.t{font-size:15px;font-weight:bold}.a{fill:none;stroke:#999}"
    ".g{stroke:#ddd}.w{fill:#fbe3e3}"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve: its title, colour, and one value for each sample but the first."""

    title: str
    colour: str
    values: Sequence[float]


def outage(samples: Sequence[Sample], gone: float, away: float) -> str:
    """Draw bindings, REGISTERs a second and lapses; from ``gone`` on nothing was answered for ``away`` seconds."""
    if len(samples) < 2:
        return _document([], 0)
    times = [sample.at - gone for sample in samples[1:]]
    panels = [
        Panel("registered at the PBX", "#1a7f37", [sample.bound for sample in samples[1:]]),
        Panel("REGISTERs answered a second", "#0969da", _rates(samples, lambda sample: sample.registers)),
        Panel("bindings that lapsed", "#cf222e", _since(samples, lambda sample: sample.lapses)),
    ]
    parts = [
        f'<text class="t" x="{LEFT}" y="24">The PBX is away for {away:g} s and comes back without its bindings</text>'
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, times, away, TOP + number * (PANEL + GAP))
    return _document(parts, len(panels))


def _rates(samples: Sequence[Sample], of: Callable[[Sample], int]) -> list[float]:
    return [max(of(other) - of(one), 0) / max(other.at - one.at, 1e-3) for one, other in itertools.pairwise(samples)]


def _since(samples: Sequence[Sample], of: Callable[[Sample], int]) -> list[float]:
    return [max(of(sample) - of(samples[0]), 0) for sample in samples[1:]]


def _panel(panel: Panel, times: Sequence[float], away: float, top: float) -> list[str]:
    first, last = times[0], times[-1]
    most = max(*panel.values, 1)

    def x(time: float) -> float:
        return LEFT + (time - first) / max(last - first, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return top + PANEL - value / most * PANEL

    points = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in zip(times, panel.values, strict=True))
    bottom = top + PANEL
    ticks = [
        f'<line class="g" x1="{x(time):.1f}" y1="{top}" x2="{x(time):.1f}" y2="{bottom}"/>'
        f'<text x="{x(time):.1f}" y="{bottom + 16}" text-anchor="middle">{time:g} s</text>'
        for time in _ticks(first, last)
    ]
    return [
        f'<rect class="w" x="{x(0):.1f}" y="{top}" width="{x(min(away, last)) - x(0):.1f}" height="{PANEL}"/>',
        *ticks,
        f'<rect class="a" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}"/>',
        f'<text x="{LEFT}" y="{top - 6}">{panel.title}</text>',
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:,.0f}</text>',
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<polyline fill="none" stroke="{panel.colour}" stroke-width="1.5" points="{points}"/>',
    ]


def _ticks(first: float, last: float) -> list[int]:
    step = next((step for step in (1, 2, 5, 10, 20, 60) if (last - first) / step <= 10), 300)
    return [time for time in range(int(first // step) * step, int(last) + 1, step) if first <= time <= last]


def _document(parts: Sequence[str], panels: int) -> str:
    height = TOP + panels * (PANEL + GAP)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
        f"<style>{_STYLE}</style>\n<rect width='{WIDTH}' height='{height}' fill='white'/>\n{body}\n</svg>\n"
    )
