"""The engine and real Chromium: what a browser offers and takes, sound both ways, candidates as browsers send them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dialog_bridge.adapters.media.codecs import EVENTS_8000, EVENTS_48000, OPUS, PCMA, PCMU
from dialog_bridge.adapters.media.session import RelaySession
from dialog_sip.sdp import Codec, parse_sdp
from fixtures.chromium_media import MICROPHONE_HZ
from fixtures.media import MediaBench, RtpPhone
from playwright.async_api import Page

pytestmark = [pytest.mark.needs("chromium")]

PHONE_HZ = 660.0


async def page_hears(page: Page, hertz: float) -> None:
    """Wait until the page's loudest frequency is ``hertz``."""
    await page.wait_for_function(
        "hz => { const [f, level] = call.loudest(); return Math.abs(f - hz) < 15 && level > -50; }",
        arg=hertz,
        timeout=15_000,
        polling=100,
    )


async def trickle(page: Page, session: RelaySession) -> None:
    """Carry the page's candidates to the engine as they come."""
    await page.expose_function("candidateFound", session.add_candidate)


async def stats(page: Page, test: str) -> dict[str, Any]:
    """Return the page's statistics of the call as soon as they pass ``test``."""
    found: dict[str, Any] = await page.evaluate("test => call.statsWhen(test, 15000)", test)
    return found


async def sounds_both_ways(page: Page, phone: RtpPhone, session: RelaySession, codec: Codec) -> None:
    phone.speak(codec)
    await page_hears(page, PHONE_HZ)
    await phone.hears(MICROPHONE_HZ, within=15)
    # A round trip takes a report of the browser and one of ours that refers to it.
    seen = await stats(page, "stats => stats.roundTrips > 0")
    assert seen["codec"].lower() == f"audio/{codec.name.lower()}"
    assert seen["energy"] > 0
    assert seen["lost"] == seen["remoteLost"] == 0
    assert 0 <= seen["roundTrip"] < 0.5
    quality = session.quality()
    assert quality.sip_lost == quality.web_lost == 0


@pytest.mark.parametrize("codec", [Codec(96, "opus", 48000, 2), PCMU, PCMA], ids=lambda codec: codec.name)
async def test_browser_calls(media_bench: MediaBench, call_page: Page, codec: Codec) -> None:
    session, reports = await media_bench.open()
    async with media_bench.phone(codec, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        phone.take(await session.take_web_offer(await call_page.evaluate("call.offer()")))
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        await sounds_both_ways(call_page, phone, session, codec)
        assert reports.connected_count == 1


@pytest.mark.parametrize("codec", [OPUS, PCMU], ids=lambda codec: codec.name)
async def test_browser_is_called(media_bench: MediaBench, call_page: Page, codec: Codec) -> None:
    session, _ = await media_bench.open()
    async with media_bench.phone(codec, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        answer = await call_page.evaluate("sdp => call.answer(sdp)", await session.take_sip_offer(phone.sdp()))
        media = phone.take(await session.take_web_answer(answer))
        assert [c.name.lower() for c in media.codecs] == [codec.name.lower(), "telephone-event"]
        await sounds_both_ways(call_page, phone, session, codec)
        assert await call_page.evaluate("call.stream.getAudioTracks().length") == 1


@pytest.mark.parametrize("policy", ["balanced", "max-bundle", "max-compat"])
async def test_video_is_declined(media_bench: MediaBench, call_page: Page, policy: str) -> None:
    session, _ = await media_bench.open()
    async with media_bench.phone(PCMU, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("policy => call.open({bundlePolicy: policy, video: true})", policy)
        phone.take(await session.take_web_offer(await call_page.evaluate("call.offer()")))
        answer = await session.take_sip_answer(phone.sdp())
        assert answer is not None
        assert [media.is_declined for media in parse_sdp(answer).media] == [False, True]
        await call_page.evaluate("sdp => call.accept(sdp)", answer)
        phone.speak(PCMU)
        await page_hears(call_page, PHONE_HZ)


async def test_browser_that_does_not_trickle(media_bench: MediaBench, call_page: Page) -> None:
    session, _ = await media_bench.open()
    async with media_bench.phone(PCMU, tone_hz=PHONE_HZ) as phone:
        await call_page.evaluate("call.open()")
        await call_page.evaluate("call.offer()")
        phone.take(await session.take_web_offer(await call_page.evaluate("call.gathered()")))
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        phone.speak(PCMU)
        await page_hears(call_page, PHONE_HZ)


@pytest.mark.parametrize("events", [EVENTS_8000, EVENTS_48000], ids=["8000", "48000"])
async def test_keys_of_the_browser(media_bench: MediaBench, call_page: Page, events: Codec) -> None:
    session, _ = await media_bench.open()
    async with media_bench.phone(OPUS, events, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        phone.take(await session.take_web_offer(await call_page.evaluate("call.offer()")))
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        await phone.hears(MICROPHONE_HZ, within=15)
        await call_page.evaluate("call.pc.getSenders()[0].dtmf.insertDTMF('5', 100, 50)")
        ends = _ends_of_events(phone, events.payload_type)
        await phone.until(lambda: len(ends()) >= 3)
        assert {packet[12] for packet in ends()} == {5}
        duration = int.from_bytes(ends()[0][14:16], "big") / events.clock_rate
        assert 0.08 <= duration <= 0.14


async def test_browser_restarts_ice(media_bench: MediaBench, call_page: Page) -> None:
    session, reports = await media_bench.open()
    async with media_bench.phone(OPUS, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        phone.take(await session.take_web_offer(await call_page.evaluate("call.offer()")))
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        phone.speak(OPUS)
        await page_hears(call_page, PHONE_HZ)
        offer = await session.take_web_offer(await call_page.evaluate("call.reoffer({iceRestart: true})"))
        assert parse_sdp(offer).media[0].codecs[0].key == OPUS.key
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        await reports.until(lambda: reports.connected_count == 2)
        before = (await stats(call_page, "stats => true"))["received"]
        await stats(call_page, f"stats => stats.received > {before + 50}")
        phone.meter.clear()
        await phone.hears(MICROPHONE_HZ)
        assert not reports.failures


async def test_called_browser_offers_again(media_bench: MediaBench, call_page: Page) -> None:
    session, reports = await media_bench.open()
    async with media_bench.phone(PCMU, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        answer = await call_page.evaluate("sdp => call.answer(sdp)", await session.take_sip_offer(phone.sdp()))
        phone.take(await session.take_web_answer(answer))
        await reports.until(lambda: reports.connected_count == 1)
        await session.take_web_offer(await call_page.evaluate("call.reoffer({iceRestart: true})"))
        # The DTLS roles stay what they were, or the browser refuses the answer.
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        await reports.until(lambda: reports.connected_count == 2)
        await sounds_both_ways(call_page, phone, session, PCMU)
        assert not reports.failures


async def test_browser_goes_away(media_bench: MediaBench, call_page: Page) -> None:
    session, reports = await media_bench.open()
    async with media_bench.phone(PCMU, tone_hz=PHONE_HZ) as phone:
        await trickle(call_page, session)
        await call_page.evaluate("call.open()")
        phone.take(await session.take_web_offer(await call_page.evaluate("call.offer()")))
        await call_page.evaluate("sdp => call.accept(sdp)", await session.take_sip_answer(phone.sdp()))
        await reports.until(lambda: reports.connected_count == 1)
        await call_page.evaluate("call.pc.close()")
        await reports.until(lambda: len(reports.failures) == 1)
        await asyncio.wait_for(session.close(), 5)


def _ends_of_events(phone: RtpPhone, payload_type: int) -> Any:
    def ends() -> list[bytes]:
        return [packet for packet, _ in phone.packets if packet[1] & 0x7F == payload_type and packet[13] & 0x80]

    return ends
