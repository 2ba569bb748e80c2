"""Whole calls through the engine: a WebRTC client on one side, a plain RTP phone on the other, a tone each way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from dialog_bridge.adapters.media.codecs import EVENTS_8000, OPUS, PCMA, PCMU
from dialog_bridge.adapters.media.session import RelaySession
from dialog_bridge.ports import MediaError
from dialog_sandbox.webrtc import WebClient
from dialog_sip.sdp import Codec, Direction, parse_sdp
from fixtures.media import MediaBench, MediaReports, RtpPhone

ITS_OPUS = Codec(96, "opus", 48000, 2)
CODECS = [ITS_OPUS, PCMU, PCMA]
CLIENT_HZ, PHONE_HZ = 440.0, 660.0

each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@dataclass
class Call:
    session: RelaySession
    reports: MediaReports
    client: WebClient
    phone: RtpPhone

    async def sounds_both_ways(self) -> None:
        await self.client.connected()
        await self.client.hears(PHONE_HZ)
        await self.phone.hears(CLIENT_HZ)


@contextlib.asynccontextmanager
async def outgoing_call(bench: MediaBench, codec: Codec, *, trickle: bool = False) -> AsyncIterator[Call]:
    """A call up to the answer; the phone speaks."""
    session, reports = await bench.open()
    client = WebClient(tone_hz=CLIENT_HZ, candidate_found=session.add_candidate if trickle else None)
    async with bench.phone(codec, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        try:
            phone.take(await session.take_web_offer(await client.offer()))
            answer = await session.take_sip_answer(phone.sdp())
            assert answer is not None
            await client.accept(answer)
            phone.speak(codec)
            yield Call(session, reports, client, phone)
        finally:
            await client.close()


@each_codec
async def test_outgoing_call(media_bench: MediaBench, codec: Codec) -> None:
    async with outgoing_call(media_bench, codec) as call:
        await call.sounds_both_ways()
        assert call.reports.connected_count == 1
        quality = call.session.quality()
        assert (quality.codec or "").lower() == codec.name.lower()
        assert min(quality.sip_packets, quality.web_packets) > 10
        assert quality.sip_lost == quality.web_lost == 0


@each_codec
async def test_incoming_call(media_bench: MediaBench, codec: Codec) -> None:
    session, reports = await media_bench.open()
    client = WebClient(codecs=[codec.name], tone_hz=CLIENT_HZ)
    async with media_bench.phone(*CODECS, EVENTS_8000, tone_hz=PHONE_HZ) as phone:
        try:
            answer = await client.answer(await session.take_sip_offer(phone.sdp()))
            media = phone.take(await session.take_web_answer(answer))
            # aiortc has no telephone-event, which is no reason not to have it with the PBX.
            assert [(c.payload_type, c.name) for c in media.codecs] == [
                (codec.payload_type, codec.name),
                (101, "telephone-event"),
            ]
            phone.speak(codec)
            await Call(session, reports, client, phone).sounds_both_ways()
        finally:
            await client.close()


async def test_client_that_trickles(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, PCMU, trickle=True) as call:
        await call.sounds_both_ways()


async def test_invite_without_offer(media_bench: MediaBench) -> None:
    session, reports = await media_bench.open()
    client = WebClient(tone_hz=CLIENT_HZ)
    async with media_bench.phone(PCMU, tone_hz=PHONE_HZ) as phone:
        try:
            offer = await session.take_web_answer(await client.answer(await session.take_sip_offer(None)))
            assert [c.name for c in phone.take(offer).codecs] == ["PCMU", "telephone-event"]
            assert await session.take_sip_answer(phone.sdp()) is None
            phone.speak(PCMU)
            await Call(session, reports, client, phone).sounds_both_ways()
        finally:
            await client.close()


async def test_early_media_then_another_branch_answers(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, PCMU) as call, media_bench.phone(PCMU, tone_hz=880) as other:
        await call.sounds_both_ways()
        assert await call.session.take_sip_answer(call.phone.sdp()) is None
        assert await call.session.take_sip_answer(other.sdp()) is None
        await other.hears(CLIENT_HZ)
        other.remote = call.phone.remote
        await call.phone.silence()
        other.speak(PCMU)
        await call.client.hears(880)


async def test_answer_changes_to_a_codec_that_the_client_does_not_send(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, PCMU) as call:
        with pytest.raises(MediaError) as refused:
            await call.session.take_sip_answer(call.phone.sdp((PCMA,)))
        assert refused.value.sip_code == 488


@pytest.mark.parametrize(
    ("changes", "answered"),
    [
        ({"direction": Direction.SENDONLY}, Direction.RECVONLY),
        ({"direction": Direction.INACTIVE}, Direction.INACTIVE),
        ({"address": "0.0.0.0"}, Direction.RECVONLY),
    ],
    ids=["sendonly", "inactive", "nowhere"],
)
async def test_hold_by_the_pbx(media_bench: MediaBench, changes: dict[str, object], answered: Direction) -> None:
    async with outgoing_call(media_bench, PCMU) as call:
        await call.sounds_both_ways()
        answer = parse_sdp(await call.session.take_sip_reoffer(call.phone.sdp(**changes)))
        assert answer.direction_of(answer.media[0]) is answered
        await hears_nothing(call)
        answer = parse_sdp(await call.session.take_sip_reoffer(call.phone.sdp()))
        assert answer.direction_of(answer.media[0]) is Direction.SENDRECV
        call.phone.meter.clear()
        await call.phone.hears(CLIENT_HZ)


async def test_hold_by_us(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, PCMU) as call:
        await call.sounds_both_ways()
        before = parse_sdp(call.session.sip_offer(held=False))
        offer = parse_sdp(call.session.sip_offer(held=True))
        assert offer.direction_of(offer.media[0]) is Direction.SENDONLY
        assert offer.origin.version == before.origin.version + 1
        assert [codec.name for codec in offer.media[0].codecs] == ["PCMU", "telephone-event"]
        assert await call.session.take_sip_answer(call.phone.sdp(direction=Direction.RECVONLY)) is None
        await hears_nothing(call)
        call.session.sip_offer(held=False)
        await call.session.take_sip_answer(call.phone.sdp())
        call.phone.meter.clear()
        await call.phone.hears(CLIENT_HZ)


async def hears_nothing(call: Call) -> None:
    """Wait for a dozen packets of the client and check that none of them came through."""
    heard, sent = len(call.phone.packets), call.session.quality().web_packets
    await call.reports.until_polled(lambda: call.session.quality().web_packets >= sent + 12)
    assert len(call.phone.packets) == heard


async def test_sip_side_offers_the_codec_under_another_payload_type(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, ITS_OPUS) as call:
        await call.sounds_both_ways()
        await call.phone.silence()
        moved = Codec(120, "opus", 48000, 2)
        call.phone.codecs = (moved,)
        answer = parse_sdp(await call.session.take_sip_reoffer(call.phone.sdp()))
        assert [codec.payload_type for codec in answer.media[0].codecs] == [120]
        call.phone.meter.clear()
        call.client.forget()
        call.phone.speak(moved)
        await call.sounds_both_ways()


async def test_sip_side_gets_reports(media_bench: MediaBench) -> None:
    async with outgoing_call(media_bench, OPUS) as call:
        await call.sounds_both_ways()
        blocks = call.phone.ssrc.to_bytes(4, "big")
        await call.phone.until(lambda: any(packet[1] == 200 and packet[28:32] == blocks for packet in call.phone.rtcp))
