"""The sandbox PBX as a process of its own, with its pages."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from dialog_sandbox.paths import PortBook, free_port
from dialog_sandbox.phone import Phone

PASSWORD = "s3cret"


@dataclass
class Running:
    process: asyncio.subprocess.Process
    sip: int
    http: int

    async def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        return await asyncio.to_thread(self._ask, path, method)

    def _ask(self, path: str, method: str) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialog_sandbox.pbx", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ | environment,
    )  # fmt: skip


@pytest.fixture
async def pbx() -> AsyncIterator[Running]:
    book = PortBook()
    sip, http = book.take(socket.SOCK_DGRAM, socket.SOCK_STREAM), book.take()
    process = await start("--sip", f"127.0.0.1:{sip}", "--http", f"127.0.0.1:{http}", SIP_PASSWORD=PASSWORD)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    assert line == f"ready: SIP 127.0.0.1:{sip} (udp, tcp), HTTP 127.0.0.1:{http}\n"
    yield Running(process, sip, http)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(15):
        assert await process.wait() == 0


async def test_pages(pbx: Running) -> None:
    status, bindings = await pbx.ask("/bindings")
    assert (status, sorted(bindings)) == (200, ["busy", "echo", "reject", "silent", "tone"])
    async with Phone("434", PASSWORD, ("127.0.0.1", pbx.sip)) as phone:
        await phone.register()
        status, report = await pbx.ask("/call?from=tone&to=434&hertz=660", "POST")
        assert (status, report["state"]) == (202, "calling")
        call = await phone.wait_call()
        call.audio.play(880)
        call.answer()
        await call.audio.wait_tone(660)
        async with asyncio.timeout(5):
            while not report["heard_hz"]:
                _, report = await pbx.ask(f"/calls/{report['id']}")
        assert report["heard_hz"] == pytest.approx(880, abs=10)
        assert (await pbx.ask("/calls"))[1][0]["id"] == report["id"]
        status, report = await pbx.ask(f"/calls/{report['id']}", "DELETE")
        assert (status, report["state"]) == (200, "ended")
        assert await call.ended() == 200


WRONG_REQUESTS = [
    ("/call?from=tone", "POST", 400),
    ("/call?from=tone&to=a%20b", "POST", 400),
    ("/call?to=434&hertz=x", "POST", 400),
    ("/call?to=434&hertz=nan", "POST", 400),
    ("/call?to=434&seconds=-1", "POST", 400),
    ("/call?from=nobody&to=434", "POST", 404),
    ("/calls/unknown", "GET", 404),
    ("/calls/unknown", "DELETE", 404),
]


async def test_wrong_requests(pbx: Running) -> None:
    answers = [await pbx.ask(path, method) for path, method, _ in WRONG_REQUESTS]
    assert [status for status, _ in answers] == [status for _, _, status in WRONG_REQUESTS]
    assert all(body["error"] for _, body in answers)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "SIP_PASSWORD"),
        (["--sip", "5060"], "--sip"),
        (["--accounts", "/nonexistent"], "/nonexistent"),
        (["--accounts", __file__], "not a JSON object"),
    ],
)
async def test_wrong_arguments_end_with_one_line(arguments: list[str], words: str) -> None:
    password = {} if not arguments else {"SIP_PASSWORD": PASSWORD}
    process = await start(*arguments, **password)
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert words in said.decode()
    assert said.decode().count("\n") == 1


async def test_a_taken_port_is_named(pbx: Running) -> None:
    process = await start("--sip", f"127.0.0.1:{pbx.sip}", "--http", f"127.0.0.1:{free_port()}", SIP_PASSWORD=PASSWORD)
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert str(pbx.sip) in said.decode()
