"""The whole path with parts that nobody here wrote at its ends.

Chromium, console, Kafka, bridge, registrar, Kamailio, baresip: who calls hears the other's tone, and the
other way round, with Opus and with PCMU.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from dialog_sandbox.media import tone
from dialog_sandbox.stack import Options, Stack
from dialog_sandbox.stack.temporary import temporary_state
from fixtures.baresip import Baresip, BaresipFactory
from fixtures.chromium_media import MICROPHONE_HZ
from fixtures.kamailio import PASSWORD, Kamailio, KamailioFactory
from playwright.async_api import Browser, Page, expect

pytestmark = [pytest.mark.needs("kafka", "postgres", "kamailio", "baresip", "chromium")]

USER = 434
BARESIP_HZ = 700
WITHIN_MS = 15_000
HEARD = 4000
"""Samples that are looked at: half a second."""

_LISTEN = """
() => {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 8192 });
  const bins = new Float32Array(analyser.frequencyBinCount);
  context.createMediaStreamSource(document.getElementById("remote-audio").srcObject).connect(analyser);
  globalThis.loudest = () => {
    analyser.getFloatFrequencyData(bins);
    const peak = bins.indexOf(Math.max(...bins));
    return [peak * context.sampleRate / analyser.fftSize, bins[peak]];
  };
}
"""


@dataclass(frozen=True)
class Company:
    """A PBX with the dialog integration beside it, and a browser on the console's page."""

    pbx: Kamailio
    page: Page

    async def create_user(self) -> None:
        """Create the user on the page, and wait until the PBX has it."""
        await self.page.get_by_label("Id of the new user").fill(str(USER))
        await self.page.get_by_label("Name of the new user").fill("Ann")
        await self.page.get_by_role("button", name="Create").click()
        await expect(self.page.locator("#my-status")).to_have_attribute("data-state", "registered", timeout=WITHIN_MS)
        assert await self.pbx.contacts(str(USER))

    async def state(self, state: str) -> None:
        """Wait until the page's phone is in ``state``."""
        await expect(self.page.locator("#screen")).to_have_attribute("data-state", state, timeout=WITHIN_MS)

    async def hears(self, hertz: float) -> None:
        """Wait until the browser plays a tone of ``hertz``."""
        await self.page.evaluate(_LISTEN)
        await self.page.wait_for_function(
            "hz => { const [f, level] = loudest(); return Math.abs(f - hz) < 15 && level > -50; }",
            arg=hertz,
            timeout=WITHIN_MS,
            polling=100,
        )

    async def codec(self) -> str:
        """Return the codec that the browser receives."""
        return str((await self.page.evaluate("() => phone.levels()"))["codec"])


@pytest.fixture
async def company(kamailio: KamailioFactory, chromium: Browser) -> AsyncIterator[Company]:
    """Everything up, and the page open."""
    pbx = await kamailio(challenge_calls=True)
    autocreate = f'modules.sip.autocreate {{ host = "127.0.0.1", port = {pbx.port}, password = "{PASSWORD}" }}\n'
    with temporary_state() as state:
        options = Options(state=state, without=frozenset({"pbx"}), extra_conf=autocreate)
        async with Stack(options) as stack:
            page = await chromium.new_page()
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            assert stack.page is not None
            await page.goto(stack.page)
            yield Company(pbx, page)
            assert problems == []


def assert_heard_microphone(phone: Baresip) -> None:
    """The recording of a phone holds the browser's tone."""
    heard = phone.heard()[-HEARD:]
    assert tone.level(heard) > -40
    frequency = tone.loudest_frequency(heard)
    assert frequency is not None
    assert abs(frequency - MICROPHONE_HZ) < 10


@pytest.mark.parametrize(("codecs", "codec"), [("opus/48000/2,pcmu", "audio/opus"), ("pcmu", "audio/PCMU")])
async def test_the_browser_calls_and_is_called(
    company: Company, baresip: BaresipFactory, codecs: str, codec: str
) -> None:
    phone = await baresip("bob", company.pbx.address, PASSWORD, hertz=BARESIP_HZ, codecs=codecs)
    await phone.registered()
    await company.create_user()

    await company.page.locator("#to").fill("bob")
    await company.page.get_by_role("button", name="Call", exact=True).click()
    await company.state("talking")
    await company.hears(BARESIP_HZ)
    assert await company.codec() == codec
    await phone.has_heard(seconds=0.6)
    await company.page.get_by_role("button", name="Hang up").click()
    await company.state("idle")
    await phone.wait_event("CALL_CLOSED")
    assert_heard_microphone(phone)

    await phone.dial(f"sip:{USER}@127.0.0.1:{company.pbx.port}")
    await company.state("incoming")
    await company.page.get_by_role("button", name="Answer").click()
    await company.state("talking")
    await company.hears(BARESIP_HZ)
    assert await company.codec() == codec
    await phone.has_heard(seconds=0.6, calls=2)
    await phone.hangup()
    await company.state("idle")
    assert_heard_microphone(phone)
