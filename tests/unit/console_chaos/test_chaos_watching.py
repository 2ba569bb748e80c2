"""What looks on while faults happen: the search for secrets, the timeline, processes and their children."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dialog_console.chaos.canary import Canary
from dialog_console.chaos.injector import descendants
from dialog_console.chaos.size import Size
from dialog_console.chaos.witness import cores
from dialog_console.chaos.world import Timeline
from dialog_sandbox.stack.supervisor import Report

SECRET = "canary-a/b"


@pytest.fixture
def canary() -> Canary:
    return Canary({"the password": SECRET})


@pytest.mark.parametrize(
    "text",
    [f"password={SECRET}!", "sip:alice:canary-a%2Fb@pbx", base64.b64encode(SECRET.encode()).decode()],
)
def test_a_secret_is_found_however_it_is_dressed(canary: Canary, text: str) -> None:
    canary.look("logs", "a.log", text.encode())
    assert [(leak.where, leak.what) for leak in canary.leaks.values()] == [("a.log", "the password")]


def test_what_is_told_of_a_leak_is_not_the_secret(canary: Canary) -> None:
    canary.look("logs", "a.log", SECRET.encode())
    assert SECRET not in str(canary.leaks)


def test_a_secret_on_the_edge_of_two_pieces_is_found(canary: Canary, tmp_path: Path) -> None:
    log = tmp_path / "big.log"
    log.write_bytes(b"x" * ((1 << 20) - 4) + SECRET.encode() + b"y" * 100)
    canary.look_in_file("logs", log)
    assert len(canary.leaks) == 1
    assert canary.searched["logs"] >= log.stat().st_size


def test_command_lines_are_searched(canary: Canary, tmp_path: Path) -> None:
    for pid, words in {"7": b"psql\0-c\0SELECT 1", "8": f"sip\0--password={SECRET}".encode()}.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(words)
    (tmp_path / "9").mkdir()  # it has just ended
    (tmp_path / "self").mkdir()
    canary.look_at_processes(tmp_path)
    assert [where for where, _ in canary.leaks] == ["command line of 8"]


def test_core_dumps_are_found(tmp_path: Path) -> None:
    (tmp_path / "core.77").touch()
    (tmp_path / "corelib").mkdir()
    assert cores([tmp_path, tmp_path / "missing"]) == [str(tmp_path / "core.77")]


def test_the_timeline_keeps_when_a_part_was_away() -> None:
    told: list[str] = []
    timeline = Timeline(told.append)
    timeline.down("kafka")
    timeline.heard(Report("kafka", "ended by itself, restart in 0.5 s", ok=False))
    assert timeline.is_down("kafka")
    timeline.heard(Report("kafka", "ready again", 100.0))
    assert not timeline.is_down("kafka")
    assert [span.what for span in timeline.blocked()] == ["kafka"]
    assert timeline.ended_by_themselves == []
    assert "kafka: ready again" in told[-1]


def test_a_part_that_ends_without_a_fault_has_crashed() -> None:
    timeline = Timeline(lambda _: None)
    timeline.heard(Report("registrar-1", "ended by itself, restart in 0.5 s", ok=False))
    assert timeline.ended_by_themselves == ["registrar-1"]
    assert [span.what for span in timeline.blocked()] == ["registrar-1"]


def test_descendants_are_children_and_theirs() -> None:
    code = "import subprocess as s; p = s.Popen(['cat'], stdin=s.PIPE); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert parent.pid in descendants(os.getpid())
        assert grandchild in descendants(os.getpid())
        os.kill(grandchild, 9)


def test_longer_runs_have_longer_grants() -> None:
    assert Size(1).granted > Size(1, 12, 200, 45).granted
    assert Size(1, mappings=2000).edits_a_second > Size(1, mappings=200).edits_a_second
