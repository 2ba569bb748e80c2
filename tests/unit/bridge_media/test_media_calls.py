"""Whole calls through the engine: a WebRTC client on one side, a plain RTP phone on the other, a tone each way."""

from __future__ import annotations

import pytest
from dialog_bridge.adapters.media.codecs import EVENTS_8000, OPUS, PCMA, PCMU
from dialog_sandbox.webrtc import WebClient
from dialog_sip.sdp import Codec
from fixtures.media import MediaBench

CODECS = {"opus": OPUS, "PCMU": PCMU, "PCMA": PCMA}


@pytest.mark.parametrize("name", CODECS)
async def test_outgoing_call_sounds_both_ways(media_bench: MediaBench, name: str) -> None:
    session, reports = await media_bench.open()
    client = WebClient(codecs=["opus", "PCMU", "PCMA"], tone_hz=440)
    codec = Codec(96, "opus", 48000, 2) if name == "opus" else CODECS[name]
    async with media_bench.phone(codec, EVENTS_8000, tone_hz=660) as phone:
        try:
            offer = await session.take_web_offer(await client.offer())
            phone.take(offer)
            answer = await session.take_sip_answer(phone.sdp())
            assert answer is not None
            await client.accept(answer)
            phone.speak(codec)
            await client.connected()
            await client.hears(660)
            await phone.hears(440)
            assert reports.connected_count == 1
            quality = session.quality()
            assert quality.codec is not None
            assert quality.codec.lower() == name.lower()
            assert quality.sip_packets > 10
            assert quality.web_packets > 10
            assert quality.sip_lost == quality.web_lost == 0
        finally:
            await client.close()
