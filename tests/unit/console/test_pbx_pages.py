"""The client of the sandbox PBX's pages: what it asks for, and what it makes of refusals and silence."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from dialog_console.adapters.pbx import PbxPages
from dialog_console.ports import PbxUnavailableError


class Pages(ThreadingHTTPServer):
    """Answers as the test says, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.answers: list[tuple[int, object]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Pages

    def _answer(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        status, body = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  named so by the library

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


async def test_a_call_is_ordered_watched_and_ended(pages: Pages) -> None:
    pages.answers = [
        (202, {"id": "call-1"}),
        (200, {"state": "up", "heard_hz": None}),
        (200, {"state": "up", "heard_hz": 441.0, "heard_dbfs": -12.0}),
        (200, {"state": "ended"}),
        (200, {"state": "ended"}),
    ]
    pbx = PbxPages(pages.base)
    assert await pbx.dial("tone", "434", 440) == "call-1"
    assert (await pbx.hears("call-1", 440))["heard_hz"] == 441.0
    await pbx.hang_up("call-1")
    await pbx.over("call-1")
    assert pages.asked == [
        "POST /call?from=tone&to=434&hertz=440",
        "GET /calls/call-1",
        "GET /calls/call-1",
        "DELETE /calls/call-1",
        "GET /calls/call-1",
    ]


async def test_the_tone_phone_calls_a_user(pages: Pages) -> None:
    pages.answers = [(202, {"id": "call-1"})]
    await PbxPages(pages.base).call("a&b")
    assert pages.asked == ["POST /call?from=tone&to=a%26b"]


async def test_a_refusal_is_told_in_the_words_of_the_pbx(pages: Pages) -> None:
    pages.answers = [(404, {"error": "no such phone"})]
    with pytest.raises(PbxUnavailableError, match=r"404 to POST /call.*no such phone"):
        await PbxPages(pages.base).call("434")


async def test_who_is_not_there_is_told_by_the_address() -> None:
    with Pages() as gone:
        base = gone.base
    with pytest.raises(PbxUnavailableError, match=f"no sandbox PBX at {base.rstrip('/')}"):
        await PbxPages(base).call("434")


async def test_nothing_but_http_is_asked() -> None:
    with pytest.raises(PbxUnavailableError, match="not an HTTP address"):
        await PbxPages("file:///etc").call("434")


async def test_a_binding_that_does_not_come_is_waited_for_so_long(pages: Pages) -> None:
    pages.answers = [(200, {})] * 1000
    with pytest.raises(TimeoutError, match=r"still says \{\}"):
        await PbxPages(pages.base).bound("434", wanted=True, within=0.1)
