"""Services and their supervisor, with small programs in place of the real ones."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.paths import free_port
from dialog_sandbox.stack.parts import Part
from dialog_sandbox.stack.service import Service, http_status, plain
from dialog_sandbox.stack.supervisor import Report, Supervisor, pause_after

READY = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def _part(code: str, path: str = "/readyz") -> Part:
    port = free_port()
    return Part("thing-1", (sys.executable, "-c", code, str(port)), f"http://127.0.0.1:{port}{path}")


async def test_a_service_is_started_when_it_is_ready(tmp_path: Path) -> None:
    service = Service(_part(READY), tmp_path / "log")
    await service.start_async()
    assert await http_status(service.part.ready) == 200
    running = service.pid
    assert running is not None
    await service.stop_async()
    assert service.returncode is not None
    assert await http_status(service.part.ready) is None


async def test_a_service_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    service = Service(_part("raise SystemExit('key x: wrong')"), tmp_path / "log")
    with pytest.raises(SandboxError, match="thing-1 ended with exit code 1: key x: wrong"):
        await service.start_async()


async def test_a_service_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    service = Service(_part(READY, "/never"), tmp_path / "log", start_timeout=0.5)
    with pytest.raises(SandboxError, match=r"thing-1 was not ready within 0\.5 s"):
        await service.start_async()
    assert service.pid is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"event": "no start", "error": "port taken", "level": "error"}', "no start: port taken"),
        ('{"event": "no start"}', "no start"),
        ("server.conf:3: a.b = x: allowed are 1..2", "server.conf:3: a.b = x: allowed are 1..2"),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
    ],
)
def test_what_a_log_line_says(line: str, said: str) -> None:
    assert plain(line) == said


def test_the_pause_grows_and_is_bounded() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 4, 5, 6, 50)] == [0.5, 1, 2, 4, 8, 10, 10]


class Fake:
    """A server that can be told to die."""

    def __init__(self, failing_starts: int = 0) -> None:
        self.pid: int | None = None
        self.log = Path("/dev/null")
        self.failing_starts = failing_starts
        self.starts = 0

    async def start_async(self) -> None:
        self.starts += 1
        if self.failing_starts:
            self.failing_starts -= 1
            raise SandboxError("not now")
        self.pid = 1

    async def stop_async(self) -> None:
        self.pid = None

    def kill(self) -> None:
        self.pid = None


async def _watched(server: Fake, until: str) -> list[Report]:
    reports: list[Report] = []
    seen = asyncio.Event()

    def report(line: Report) -> None:
        reports.append(line)
        if line.text == until:
            seen.set()

    supervisor = Supervisor("thing", server, report, sleep=lambda _seconds: asyncio.sleep(0))
    server.pid = 1
    watching = asyncio.create_task(supervisor.watch())
    server.kill()
    await asyncio.wait_for(seen.wait(), 5)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return reports


async def test_what_ends_by_itself_is_restarted() -> None:
    reports = await _watched(Fake(), "ready again")
    assert [line.text for line in reports] == ["ended by itself, restart in 0.5 s", "ready again"]
    assert [line.ok for line in reports] == [False, True]


async def test_a_restart_that_fails_is_tried_again_later() -> None:
    reports = await _watched(Fake(failing_starts=2), "ready again")
    assert [line.text for line in reports if "restart" in line.text] == [
        "ended by itself, restart in 0.5 s",
        "ended by itself, restart in 1 s",
        "ended by itself, restart in 2 s",
    ]


async def test_a_first_start_that_fails_is_not_tried_again() -> None:
    server = Fake(failing_starts=1)
    with pytest.raises(SandboxError, match="not now"):
        await Supervisor("thing", server, lambda _: None).start()
    assert server.starts == 1
