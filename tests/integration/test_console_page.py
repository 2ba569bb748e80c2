"""The page's phone in a real browser, with a console that says what the test wants: it never keeps a call for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dialog_console.adapters.web import STATIC
from playwright.async_api import Browser, Page, WebSocketRoute, expect

pytestmark = [pytest.mark.needs("chromium")]

ORIGIN = "http://127.0.0.1:9/"
"""A secure context; the files and the websocket come from the test itself."""
USER = {"user_id": 434, "name": "Ann", "aor": "434@pbx"}
STATUS = {"aor": "434@pbx", "state": "registered", "owner": "registrar-1", "last_code": 200, "last_phrase": "OK"}
WITHIN = 10.0


class Desk:
    """The console's end of the websocket, and the page at the other."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.live: list[str] = []
        self._socket: WebSocketRoute | None = None

    async def open(self) -> None:
        """Load the page."""
        await self.page.route(ORIGIN + "**", self._file)
        await self.page.route_web_socket("**/ws", self._connected)
        await self.page.goto(ORIGIN)
        await expect(self.page.locator("#my-status")).to_have_attribute("data-state", "registered")

    def tell(self, kind: str, **fields: object) -> None:
        """Send a message to the page."""
        assert self._socket is not None
        self._socket.send(json.dumps({"kind": kind, **fields}))

    def event(self, name: str, call_id: str, **fields: object) -> None:
        """Send a call event to the page."""
        self.tell("mine", name=name, event={"call_id": call_id, "user_id": 434, **fields})

    async def restart(self) -> None:
        """Drop the connection; the page comes back by itself."""
        assert self._socket is not None
        await self._socket.close()

    async def command(self, name: str) -> dict[str, Any]:
        """Wait for a command of the page and return it."""
        async with asyncio.timeout(WITHIN):
            while (asked := await self.asked.get()).get("name") != name:
                pass
        return asked

    async def shows(self, state: str, words: str) -> None:
        """Wait until the phone is in ``state`` and says ``words``."""
        await expect(self.page.locator("#screen")).to_have_attribute("data-state", state)
        await expect(self.page.locator("#progress")).to_contain_text(words)

    async def dial(self, to: str = "echo") -> str:
        """Call; return the call's id."""
        await self.page.locator("#to").fill(to)
        await self.page.get_by_role("button", name="Call", exact=True).click()
        return str((await self.command("call-start"))["call_id"])

    async def ring(self, call_id: str = "c1") -> None:
        """Let a call come in."""
        self.event("call-incoming", call_id, from_name="", from_number="bob", from_uri="sip:bob@pbx", sdp="v=0")
        await self.shows("incoming", "calls you")

    async def _file(self, route: Any) -> None:
        name = route.request.url.removeprefix(ORIGIN) or "index.html"
        await route.fulfill(path=STATIC / name)

    def _connected(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        socket.on_message(lambda text: self.asked.put_nowait(json.loads(text)))
        calls = [{"call_id": call_id, "state": "TALKING"} for call_id in self.live]
        self.tell(
            "snapshot", users=[USER], registrations=[STATUS], calls=calls, instances=[], ice_servers=[], pbx=True,
            calls_known=True,
        )  # fmt: skip


@pytest.fixture
async def desk(chromium: Browser) -> AsyncIterator[Desk]:
    page = await chromium.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    it = Desk(page)
    await it.open()
    yield it
    assert problems == []


async def test_a_start_that_is_refused_ends_the_call(desk: Desk) -> None:
    call_id = await desk.dial("sip:")
    desk.tell("problem", text="call-start: to: no number", call_id=call_id)
    await desk.shows("idle", "no number")


async def test_a_hang_up_that_nobody_answers_ends_the_call_too(desk: Desk) -> None:
    await desk.page.clock.install()
    await desk.dial()
    await desk.page.get_by_role("button", name="Hang up").click()
    await desk.shows("ending", "ending")
    await desk.page.clock.run_for(6_000)
    await desk.shows("idle", "hung up")


async def test_a_call_of_which_nothing_is_heard_is_given_up(desk: Desk) -> None:
    await desk.page.clock.install()
    call_id = await desk.dial()
    await desk.page.clock.run_for(50_000)
    assert (await desk.command("call-hangup"))["call_id"] == call_id
    await desk.shows("idle", "nothing was heard")


async def test_a_page_that_goes_leaves_no_call_behind(desk: Desk) -> None:
    call_id = await desk.dial()
    await desk.page.evaluate("() => dispatchEvent(new Event('pagehide'))")
    assert (await desk.command("call-hangup"))["call_id"] == call_id


async def test_a_call_that_ended_while_the_console_was_away_is_over(desk: Desk) -> None:
    await desk.ring()
    await desk.restart()
    await desk.shows("idle", "while the console was away")


async def test_a_call_that_is_still_there_goes_on(desk: Desk) -> None:
    await desk.ring()
    desk.live = ["c1"]
    await desk.restart()
    await expect(desk.page.locator("#link")).to_have_text("live")
    await desk.shows("incoming", "calls you")


async def test_the_same_incoming_call_told_twice_is_one(desk: Desk) -> None:
    await desk.ring()
    await desk.ring()
    await desk.page.get_by_role("button", name="Decline").click()
    assert (await desk.command("call-reject"))["reason"] == "rejected"
    desk.event("call-incoming", "c1", from_name="", from_number="bob", from_uri="sip:bob@pbx", sdp="v=0")
    desk.event("call-incoming", "c2", from_name="", from_number="eve", from_uri="sip:eve@pbx", sdp="v=0")
    await expect(desk.page.locator("#peer")).to_have_text("eve")


async def test_another_phone_of_the_user_answers(desk: Desk) -> None:
    await desk.ring()
    desk.event("call-answered", "c1", sdp=None)
    await desk.shows("idle", "answered elsewhere")


@pytest.mark.parametrize(
    ("error", "words"), [("NotAllowedError", "allow it"), ("NotFoundError", "there is no microphone")]
)
async def test_without_a_microphone_it_says_why(desk: Desk, error: str, words: str) -> None:
    await desk.page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', name)); }", error
    )
    await desk.page.get_by_role("button", name="Call", exact=True).click()
    await desk.shows("idle", words)


async def test_a_call_hung_up_while_the_browser_asks_for_the_microphone_is_not_made(desk: Desk) -> None:
    await desk.page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = (wanted) =>
            new Promise((allow) => { globalThis.allow = () => ask(wanted).then(allow); });
        }"""
    )
    await desk.page.get_by_role("button", name="Call", exact=True).click()
    await desk.page.get_by_role("button", name="Hang up").click()
    await desk.shows("idle", "not made")
    await desk.page.evaluate("() => allow()")
    await desk.ring("c9")
    assert (await desk.command("call-ringing"))["call_id"] == "c9"
