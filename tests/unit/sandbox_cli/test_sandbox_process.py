from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dialog_sandbox import process
from dialog_sandbox.process import Child

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def _spawn(code: str, log: Path) -> Child:
    return Child.spawn([sys.executable, "-S", "-c", code], log=log)


def test_output_and_exit_code_are_kept(tmp_path: Path) -> None:
    child = _spawn("print('one'); print('two'); raise SystemExit(3)", tmp_path / "logs" / "log")
    assert child.wait(10) == 3
    assert child.last_line() == "two"
    assert child.stop(1) == 3, "a child that has ended can be stopped again"


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    child = _spawn(STUBBORN, tmp_path / "log")
    _until_it_says(child, "deaf")
    assert child.stop(0.1) == -signal.SIGKILL


async def test_stopping_leaves_the_loop_free(tmp_path: Path) -> None:
    child = _spawn("import time; time.sleep(60)", tmp_path / "log")
    assert await child.wait_async(0.01) is None
    assert await child.stop_async(10) == -signal.SIGTERM


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from dialog_sandbox.process import Child\n"
        "sleep = [sys.executable, '-S', '-c', 'import time; time.sleep(60)']\n"
        "child = Child.spawn(sleep, log=pathlib.Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        fd = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([fd], [], [], 5)[0], "it outlived its parent"
    finally:
        os.close(fd)


def test_a_log_that_grew_large_makes_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_LOG", 10)
    log = tmp_path / "log"
    log.write_text("x" * 11)
    assert _spawn("print('new')", log).wait(10) == 0
    assert log.read_text() == "new\n"
    assert (tmp_path / "log.1").read_text() == "x" * 11


def _until_it_says(child: Child, word: str) -> None:
    for _ in range(500):
        if word in child.last_line():
            return
        child.wait(0.02)
    pytest.fail(f"{word} never came")
