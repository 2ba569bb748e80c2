"""``dialog-sip up`` as a process of its own, servers only: how it ends, and who is in its way."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.paths import free_port
from dialog_sandbox.stack import Options, Stack
from dialog_sandbox.stack.supervisor import Report

pytestmark = pytest.mark.needs("kafka", "postgres")

SERVICES = "pbx,provisioner,registrar,bridge,console"


def _command(state: Path, *options: str) -> list[str]:
    # fmt: off
    return [sys.executable, "-m", "dialog_console.cli", "up", "--state", str(state), "--without", SERVICES,
            "--kafka-port", "0", "--postgres-port", "0", *options]
    # fmt: on


@contextmanager
def _up(state: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """Run ``up``; give the process and the pids of its children once it is ready."""
    with subprocess.Popen(_command(state), stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any("Ctrl-C ends all" in line for line in lines)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield process, {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}
        finally:
            guard.cancel()
            process.kill()


def _gone(pids: dict[str, int], within: float) -> bool:
    deadline = time.monotonic() + within
    for pid in pids.values():
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
        finally:
            os.close(fd)
    return True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(server_dir: Path, signum: signal.Signals) -> None:
    with _up(server_dir) as (process, children):
        assert set(children) == {"java", "postgres"}
        process.send_signal(signum)
        assert process.wait(60) == 0
        assert _gone(children, 0)


def test_a_kill_leaves_nothing_and_the_state_is_taken_up_again(server_dir: Path) -> None:
    with _up(server_dir) as (process, children):
        process.kill()
        assert _gone(children, 30)
    with _up(server_dir):
        pass


def test_a_second_one_on_the_same_state_says_so(server_dir: Path) -> None:
    with _up(server_dir):
        second = subprocess.run(_command(server_dir), capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert re.fullmatch(r"dialog-sip: another dialog-sip is running on .*\n", second.stderr)


def test_a_taken_port_is_named_before_anything_is_started(server_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as held:
        port = held.getsockname()[1]
        command = _command(server_dir, "--kafka-port", str(port))
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"dialog-sip: port {port} of 127.0.0.1, for Kafka, is taken: choose another with --kafka-port\n"
    )
    assert not (server_dir / "kafka").exists()


async def test_a_stack_brings_back_what_is_killed(server_dir: Path) -> None:
    reports: list[Report] = []
    options = Options(state=server_dir, without=frozenset(SERVICES.split(",")))
    async with Stack(options, reports.append) as stack:
        first = stack.pids()
        stack.kill("postgres")
        assert await _until(lambda: stack.restarts()["postgres"] == 1 and "postgres" in stack.pids())
        assert stack.pids()["kafka"] == first["kafka"]
    assert [report.text for report in reports if report.name == "postgres"][:2] == [
        "ready",
        "ended by itself, restart in 0.5 s",
    ]


async def test_a_part_that_does_not_start_ends_the_rest(server_dir: Path) -> None:
    options = Options(state=server_dir, without=frozenset(SERVICES.split(",")))
    stack = Stack(options)
    (server_dir / "postgres" / "data").mkdir(parents=True)
    (server_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(SandboxError, match="PostgreSQL does not start"):
        await stack.start()
    assert stack.pids() == {}


async def _until(condition: Callable[[], bool], within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


def test_a_signal_while_the_command_is_still_loaded_ends_it(tmp_path: Path) -> None:
    # As in a shell's background, where SIGINT is ignored: what comes before the command looks for it is lost.
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *_command(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    became = Path(f"/proc/{process.pid}/cmdline")
    while process.poll() is None and time.monotonic() < deadline:
        if became.read_bytes().startswith(os.fsencode(sys.executable)):
            process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
