"""What a call may not do: leave something behind, wait for ever, take more than there is, or believe anything."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from dialog_bridge.adapters.media import MediaSettings, RelayEngine
from dialog_bridge.adapters.media.certificate import Certificates
from dialog_bridge.adapters.media.codecs import EVENTS_8000, PCMA, PCMU
from dialog_bridge.benchmarks.web_peer import WebPeer
from dialog_bridge.ports import MediaError
from dialog_runtime.config.modules import IceServer
from dialog_sandbox.webrtc import WebClient
from dialog_sip.sdp import Codec
from fixtures.media import MediaBench, MediaReports, free_port_range, rtp_phone_on_loopback

G729_ONLY = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n"
PCMU_ONLY = G729_ONLY.replace(b" 18\r\n", b" 0\r\n")


def engine(**changes: object) -> RelayEngine:
    lowest, highest = free_port_range(20)
    settings = MediaSettings(port_min=lowest, port_max=highest, ice_loopback=True)
    return RelayEngine(replace(settings, **changes))  # type: ignore[arg-type]


@asynccontextmanager
async def web_peer() -> AsyncIterator[WebPeer]:
    peer = WebPeer(MediaSettings(ice_loopback=True), Certificates().current(), lambda _packet: None)
    try:
        yield peer
    finally:
        await peer.close()


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


async def test_close_leaves_nothing(media_bench: MediaBench) -> None:
    session, _ = await media_bench.open("warm-up")
    await session.close()
    tasks, files = asyncio.all_tasks(), open_files()
    session, reports = await media_bench.open()
    client = WebClient()
    async with media_bench.phone(PCMU, EVENTS_8000) as phone:
        phone.take(await session.take_web_offer(await client.offer()))
        answer = await session.take_sip_answer(phone.sdp())
        assert answer is not None
        await client.accept(answer)
        await client.connected()
        session.send_digits("123", 100)
        await reports.until(lambda: reports.connected_count == 1)
        await session.close()
        await session.close()
        await client.close()
    session.send_digits("4", 100)
    session.add_candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0)
    assert session.quality().codec == "PCMU"
    assert asyncio.all_tasks() == tasks
    assert open_files() == files
    assert not reports.failures


@pytest.mark.parametrize("step", ["offered", "answered"])
async def test_close_in_the_middle(media_bench: MediaBench, step: str) -> None:
    tasks, files = asyncio.all_tasks(), open_files()
    session, reports = await media_bench.open()
    async with web_peer() as peer:
        offer = await peer.offer((PCMU,))
        taking = asyncio.create_task(session.take_web_offer(offer))
        if step == "answered":
            await taking
            await session.take_sip_answer(PCMU_ONLY)
        else:
            await asyncio.sleep(0)
        await asyncio.wait_for(session.close(), 5)
        if step == "offered":
            with contextlib.suppress(MediaError):  # Where the offer was not taken before the end came.
                await taking
    assert asyncio.all_tasks() == tasks
    assert open_files() == files
    assert not reports.failures


async def test_a_cancelled_offer_leaves_nothing(media_bench: MediaBench) -> None:
    files = open_files()
    session, _ = await media_bench.open()
    async with web_peer() as peer:
        taking = asyncio.create_task(session.take_web_offer(await peer.offer((PCMU,))))
        await asyncio.sleep(0)
        taking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await taking
        await session.close()
    assert open_files() == files


async def test_ports_are_even_bounded_and_given_back() -> None:
    lowest, _ = free_port_range(2)
    small = engine(port_min=lowest + 1, port_max=lowest + 5)
    sessions = [await small.open(str(number), "127.0.0.1", MediaReports()) for number in range(2)]
    ports = {session._forwarder.sip.port for session in sessions}
    assert ports == {lowest + 2, lowest + 4}
    with pytest.raises(MediaError) as refused:
        await small.open("third", "127.0.0.1", MediaReports())
    assert refused.value.sip_code == 503
    await sessions[0].close()
    sessions.append(await small.open("third", "127.0.0.1", MediaReports()))
    for session in sessions:
        await session.close()


async def test_a_peer_that_cannot_be_reached() -> None:
    with pytest.raises(MediaError) as refused:
        await engine().open("call", "no-such-host.invalid", MediaReports())
    assert refused.value.sip_code == 500


async def test_configured_address_is_what_the_pbx_is_told() -> None:
    session = await engine(address="203.0.113.9").open("call", "127.0.0.1", MediaReports())
    try:
        async with web_peer() as peer:
            offer = await session.take_web_offer(await peer.offer((PCMU,)))
            assert b"c=IN IP4 203.0.113.9\r\n" in offer
    finally:
        await session.close()


async def test_client_that_never_connects() -> None:
    reports = MediaReports()
    session = await engine(connect_timeout=0.2).open("call", "127.0.0.1", reports)
    try:
        async with web_peer() as peer:
            await session.take_web_offer(await peer.offer((PCMU,)))
            await session.take_sip_answer(PCMU_ONLY)
            await reports.until(lambda: bool(reports.failures))
            assert reports.failures == ["the client did not connect in time"]
    finally:
        await session.close()


async def test_silence_ends_the_call() -> None:
    reports = MediaReports()
    session = await engine(silence_timeout=0.5).open("call", "127.0.0.1", reports)
    try:
        async with web_peer() as peer:
            await session.take_web_offer(await peer.offer((PCMU,)))
            answer = await session.take_sip_answer(PCMU_ONLY)
            assert answer is not None
            peer.accept(answer)
            await reports.until(lambda: bool(reports.failures))
            assert reports.failures == ["no packet from the client for 0.5 s"]
    finally:
        await session.close()


def _other_digit(found: re.Match[str]) -> str:
    return found[1] + ("1" if found[2] == "0" else "0")


async def test_client_with_another_certificate(media_bench: MediaBench) -> None:
    session, reports = await media_bench.open()
    async with web_peer() as peer:
        forged = re.sub(r"(a=fingerprint:sha-256 .)(.)", _other_digit, await peer.offer((PCMU,)))
        await session.take_web_offer(forged)
        answer = await session.take_sip_answer(PCMU_ONLY)
        assert answer is not None
        peer.accept(answer)
        await reports.until(lambda: bool(reports.failures))
        assert reports.failures == ["the DTLS handshake with the client failed"]
        assert reports.connected_count == 0


async def refusal(offer_to_web: str | None = None, answer: bytes | None = None, sip_offer: bytes | None = None) -> int:
    session = await engine().open("call", "127.0.0.1", MediaReports())
    try:
        if sip_offer is not None:
            await session.take_sip_offer(sip_offer)
        if offer_to_web is not None:
            await session.take_web_offer(offer_to_web)
        if answer is not None:
            await session.take_sip_answer(answer)
    except MediaError as error:
        return error.sip_code if error.reason else -1
    else:
        return 0
    finally:
        await session.close()


async def test_descriptions_that_cannot_be_used() -> None:
    async with web_peer() as peer:
        good = await peer.offer((PCMU, EVENTS_8000))
    assert await refusal(offer_to_web="nonsense") == 400
    assert await refusal(offer_to_web=good.replace("a=ice-pwd", "a=other")) == 400
    assert await refusal(offer_to_web=good.replace("a=fingerprint", "a=other")) == 400
    assert await refusal(offer_to_web=good.replace("a=rtcp-mux\r\n", "")) == 488
    assert await refusal(offer_to_web=good.replace("PCMU", "GSM")) == 488
    assert await refusal(offer_to_web=good, answer=b"") == 400
    assert await refusal(offer_to_web=good, answer=G729_ONLY) == 488
    assert await refusal(offer_to_web=good, answer=PCMU_ONLY.replace(b"audio 4000", b"audio 0")) == 488
    assert (
        await refusal(offer_to_web=good, answer=PCMU_ONLY.replace(b"IP4 127.0.0.1\r\nt", b"IP4 no.invalid\r\nt")) == 488
    )
    assert await refusal(sip_offer=G729_ONLY) == 488
    assert await refusal(sip_offer=b"v=1") == 400


async def test_reoffer_without_the_codec_of_the_call(media_bench: MediaBench) -> None:
    session, _ = await media_bench.open()
    async with web_peer() as peer, rtp_phone_on_loopback(PCMU, PCMA) as phone:
        await session.take_web_offer(await peer.offer((PCMU, PCMA)))
        await session.take_sip_answer(phone.sdp())
        with pytest.raises(MediaError) as refused:
            await session.take_sip_reoffer(phone.sdp((Codec(18, "G729", 8000),)))
        assert refused.value.sip_code == 488
        # The call goes on as it was.
        assert b"PCMU/8000" in await session.take_sip_reoffer(phone.sdp((PCMU,)))


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:1 1 udp 2113937151 0d29.local 50000 typ host",
        "candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
        "candidate:1 2 udp 1 127.0.0.1 50000 typ host",
        "candidate:nonsense",
        "",
    ],
)
async def test_candidates_that_cannot_be_used_are_ignored(media_bench: MediaBench, candidate: str) -> None:
    session, reports = await media_bench.open()
    async with web_peer() as peer:
        offer = await peer.offer((PCMU,))
        bare = "".join(line for line in offer.splitlines(keepends=True) if not line.startswith("a=candidate"))
        await session.take_web_offer(bare)
        session.add_candidate(candidate, "0", 0)
        session.add_candidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "video", 1)
        answer = await session.take_sip_answer(PCMU_ONLY)
        assert answer is not None
        peer.accept(answer)
        # Our candidates are in the answer, so the client's checks make a peer-reflexive one.
        await peer.connected(10)
        await reports.until(lambda: reports.connected_count == 1)


async def test_consent_of_the_client_expires(media_bench: MediaBench) -> None:
    session, reports = await media_bench.open()
    async with web_peer() as peer:
        await session.take_web_offer(await peer.offer((PCMU,)))
        answer = await session.take_sip_answer(PCMU_ONLY)
        assert answer is not None
        peer.accept(answer)
        await reports.until(lambda: reports.connected_count == 1)
        # What aioice does after 30 s without an answer to its checks (RFC 7675).
        agent = session._forwarder.web._current
        assert agent is not None
        await agent._connection.close()
        await reports.until(lambda: bool(reports.failures))
        assert reports.failures == ["the client stopped answering (ICE consent expired)"]


async def test_ice_servers_that_do_not_answer_delay_and_do_not_fail() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
    session = await engine(gather_timeout=0, ice_servers=(IceServer(url=url),)).open("c", "127.0.0.1", MediaReports())
    try:
        async with web_peer() as peer, asyncio.timeout(5):
            await session.take_web_offer(await peer.offer((PCMU,)))
            answer = await session.take_sip_answer(PCMU_ONLY)
            assert answer is not None
            assert "typ host" in answer
            assert "typ srflx" not in answer
    finally:
        await session.close()
        silent.close()


@pytest.mark.parametrize("url", ["http://example.com", "stun:", "turn"])
def test_ice_servers_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"modules\.webrtc\.ice-servers"):
        engine(ice_servers=(IceServer.model_construct(url=url),))


def test_a_call_on_uvloop() -> None:
    async def call() -> None:
        session = await engine().open("call", "127.0.0.1", MediaReports())
        received = asyncio.Event()
        peer = WebPeer(MediaSettings(ice_loopback=True), Certificates().current(), lambda _packet: received.set())
        async with rtp_phone_on_loopback(PCMU) as phone, asyncio.timeout(10):
            phone.take(await session.take_web_offer(await peer.offer((PCMU,))))
            answer = await session.take_sip_answer(phone.sdp())
            assert answer is not None
            peer.accept(answer)
            await peer.connected(10)
            peer.send(0, b"a" * 160, step=160)
            await phone.until(lambda: len(phone.packets) == 1)
            while not received.is_set():
                phone.send(0, b"b" * 160)
                await asyncio.sleep(0.01)
        await peer.close()
        await session.close()

    uvloop.run(call())
