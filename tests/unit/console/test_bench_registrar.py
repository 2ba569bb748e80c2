"""``bench registrar``: its options, its picture, and what it does where Kamailio is not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dialog_console.benchmarks.process_stats import descendants
from dialog_console.benchmarks.registrar import kamailio, parse, plot
from dialog_console.benchmarks.registrar.options import Options
from dialog_console.benchmarks.registrar.phases import sent
from dialog_console.cli.bench import measure
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.process import Child
from dialog_sandbox.simulator.counts import Counts, Sample
from dialog_sandbox.simulator.process import State

SVG = "{http://www.w3.org/2000/svg}"


def test_all_sizes_unless_told_otherwise() -> None:
    assert parse([]) == Options((1_000, 10_000, 100_000))
    assert parse(["--users", "500,20000"]).users == (500, 20_000)
    assert parse(["--users", "500,20000"]).outage_users == 500
    assert parse([]).outage_users == 10_000


def test_quick_is_small_and_short() -> None:
    options = parse(["--quick"])
    assert options.users == (1_000,)
    assert options.steady + options.away + options.looks_back + options.granted < 45


@pytest.mark.parametrize("words", [["--users", "many"], ["--users", "0"], ["--slow"], ["--users"]])
def test_wrong_options_are_said_in_one_line(words: list[str]) -> None:
    with pytest.raises(SandboxError, match="bench registrar: "):
        parse(words)


def test_a_benchmark_without_options_takes_none() -> None:
    with pytest.raises(SandboxError, match="bench bus takes no --quick"):
        measure("bus", ["--quick"])


def samples() -> list[Sample]:
    before = [Sample(100 + second, 200 * second, 1000, 0) for second in range(5)]
    away = [Sample(105 + second, 800, 1000 - 100 * second, 100 * second) for second in range(10)]
    after = [Sample(115 + second, 800 + 400 * second, 250 * second, 900) for second in range(5)]
    return [*before, *away, *after]


def test_the_picture_has_three_curves_on_one_axis() -> None:
    root = ElementTree.fromstring(plot.outage(samples(), 105, 10))
    curves = root.findall(f"{SVG}polyline")
    assert len(curves) == 3
    assert {len(curve.attrib["points"].split()) for curve in curves} == {len(samples()) - 1}
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert "bindings that lapsed" in texts
    assert "0 s" in texts
    assert "10 s" in texts


def test_a_picture_of_nothing_is_a_picture() -> None:
    assert ElementTree.fromstring(plot.outage([], 0, 10)).findall(f"{SVG}polyline") == []


def test_everything_that_arrives_counts_as_sent() -> None:
    counts = Counts(registers=5, duplicates=3, unheard=2).as_json()
    assert sent(State(0, 0, counts, {})) == 10


async def test_where_kamailio_is_not_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kamailio.shutil, "which", lambda *_args, **_kwargs: None)
    (row,) = await kamailio.beside([1000], Options())
    assert "not installed" in row.peers
    assert row.ok is None


def test_descendants_are_all_processes_below(tmp_path: Path) -> None:
    assert descendants(2**22 + 1) == []
    child = Child.spawn([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log")
    try:
        assert child.pid in descendants(os.getpid())
    finally:
        child.kill()
