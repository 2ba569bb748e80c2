"""What happens to single packets on their way through a call: keys, changed sources, loss, strangers."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from dialog_bridge.adapters.media.certificate import Certificates
from dialog_bridge.adapters.media.codecs import EVENTS_8000, EVENTS_48000, OPUS, PCMU
from dialog_bridge.adapters.media.session import RelaySession
from dialog_bridge.adapters.media.settings import MediaSettings
from dialog_bridge.benchmarks.web_peer import WebPeer
from dialog_sip.sdp import Codec, Media, parse_sdp
from fixtures.media import RTP, MediaBench, MediaReports, RtpPhone

WEB_EVENTS_8000 = Codec(126, "telephone-event", 8000)
WEB_EVENTS_48000 = Codec(125, "telephone-event", 48000)


@dataclass
class Header:
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    first: int


def read(packet: bytes) -> Header:
    first, second, sequence, timestamp, ssrc = RTP.unpack_from(packet)
    return Header(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, packet[12:], first)


@dataclass
class PacketCall:
    session: RelaySession
    reports: MediaReports
    web: WebPeer
    phone: RtpPhone
    web_codecs: tuple[Codec, ...]
    received: list[bytes] = field(default_factory=list)
    """What the client got."""

    @property
    def at_phone(self) -> list[Header]:
        return [read(packet) for packet, _ in self.phone.packets]

    @property
    def at_web(self) -> list[Header]:
        return [read(packet) for packet in self.received]

    async def web_gets(self, count: int) -> list[Header]:
        await self.reports.until_polled(lambda: len(self.received) >= count)
        return self.at_web

    async def phone_gets(self, count: int) -> list[Header]:
        await self.phone.until(lambda: len(self.phone.packets) >= count)
        return self.at_phone


@contextlib.asynccontextmanager
async def packet_call(bench: MediaBench, web: tuple[Codec, ...], sip: tuple[Codec, ...]) -> AsyncIterator[PacketCall]:
    """A connected outgoing call on which nothing was sent yet."""
    session, reports = await bench.open()
    received: list[bytes] = []
    peer = WebPeer(MediaSettings(ice_loopback=True), Certificates().current(), received.append)
    async with bench.phone(*sip) as phone:
        try:
            phone.take(await session.take_web_offer(await peer.offer(web)))
            answer = await session.take_sip_answer(phone.sdp())
            assert answer is not None
            peer.accept(answer)
            await peer.connected(10)
            await reports.until(lambda: reports.connected_count == 1)
            yield PacketCall(session, reports, peer, phone, _audio(answer).codecs, received)
        finally:
            await peer.close()


def _audio(sdp: str) -> Media:
    media = parse_sdp(sdp).section("audio")
    assert media is not None
    return media


def g711(bench: MediaBench) -> contextlib.AbstractAsyncContextManager[PacketCall]:
    return packet_call(bench, (PCMU, WEB_EVENTS_8000), (PCMU, EVENTS_8000))


async def test_payload_arrives_to_the_byte(media_bench: MediaBench) -> None:
    async with packet_call(media_bench, (OPUS, WEB_EVENTS_48000), (Codec(96, "opus", 48000, 2), EVENTS_8000)) as call:
        payloads = [bytes((number,)) * 40 for number in range(5)]
        for payload in payloads:
            call.web.send(111, payload, step=960)
            call.phone.send(96, payload, step=960)
        at_phone, at_web = await call.phone_gets(5), await call.web_gets(5)
        for seen, payload_type in ((at_phone, 96), (at_web, 111)):
            assert [packet.payload for packet in seen] == payloads
            assert {packet.payload_type for packet in seen} == {payload_type}
            assert [packet.sequence for packet in seen] == [(seen[0].sequence + n) & 0xFFFF for n in range(5)]
            assert [packet.timestamp for packet in seen] == [
                (seen[0].timestamp + 960 * n) & 0xFFFFFFFF for n in range(5)
            ]
            assert [packet.marker for packet in seen] == [True, False, False, False, False]
        assert at_phone[0].ssrc != call.web.ssrc
        assert at_web[0].ssrc != call.phone.ssrc


async def test_a_changed_source_goes_on_where_the_last_one_ended(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call:
        call.phone.send(0, b"a" * 160)
        await call.web_gets(1)
        call.phone.ssrc, call.phone.sequence, call.phone.timestamp = 77, 5, 123456
        call.phone.send(0, b"b" * 160)
        first, second = await call.web_gets(2)
        assert second.ssrc == first.ssrc
        assert second.sequence == (first.sequence + 1) & 0xFFFF
        assert second.marker
        assert 0 < (second.timestamp - first.timestamp) & 0xFFFFFFFF < 8000 * 5


async def test_loss_is_passed_on_and_counted(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call:
        for number in range(10):
            call.phone.send(0, bytes((number,)) * 160)
            if number in {3, 7}:
                call.phone.sequence = (call.phone.sequence + 2) & 0xFFFF
        seen = await call.web_gets(10)
        assert (seen[-1].sequence - seen[0].sequence) & 0xFFFF == 13
        assert call.session.quality().sip_lost == 4
        assert call.session.quality().sip_packets == 10


async def test_header_extensions_stay_on_their_side(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call:
        extension = struct.pack("!HHI", 0xBEDE, 1, 0x10FF0000)
        csrc = struct.pack("!I", 9)
        call.web.send_raw(RTP.pack(0x91, 0, 1, 1, call.web.ssrc) + csrc + extension + b"x" * 160)
        (packet,) = await call.phone_gets(1)
        assert (packet.first, packet.payload) == (0x80, b"x" * 160)


async def test_keys_of_the_phone_are_reported_once_and_passed_on(media_bench: MediaBench) -> None:
    async with packet_call(media_bench, (OPUS, WEB_EVENTS_48000), (OPUS, EVENTS_8000)) as call:
        for digit in (1, 11):
            for number in range(1, 6):
                call.phone.send(101, struct.pack("!BBH", digit, 10, 160 * number), marker=number == 1, step=0)
            for _ in range(3):
                call.phone.send(101, struct.pack("!BBH", digit, 0x80 | 10, 800), step=0)
            call.phone.timestamp += 4800
        await call.reports.until(lambda: len(call.reports.digits) >= 2)
        seen = await call.web_gets(16)
        assert call.reports.digits == [("1", 100), ("#", 100)]
        assert {packet.payload_type for packet in seen} == {125}
        # The client counts 48,000 a second where the phone counts 8,000.
        assert struct.unpack("!BBH", seen[7].payload) == (1, 0x8A, 4800)


async def test_keys_that_the_client_does_not_take_are_reported_all_the_same(media_bench: MediaBench) -> None:
    async with packet_call(media_bench, (PCMU,), (PCMU, EVENTS_8000)) as call:
        call.phone.send(101, struct.pack("!BBH", 5, 0x80 | 10, 800))
        call.phone.send(0, b"a" * 160)
        (packet,) = await call.web_gets(1)
        assert packet.payload_type == 0
        assert call.reports.digits == [("5", 100)]


@pytest.mark.parametrize("events", [EVENTS_8000, EVENTS_48000], ids=["8000", "48000"])
async def test_keys_of_the_client(media_bench: MediaBench, events: Codec) -> None:
    async with packet_call(media_bench, (OPUS, WEB_EVENTS_48000), (OPUS, events)) as call:
        call.web.send(125, struct.pack("!BBH", 7, 0x80 | 10, 4800), step=0)
        (packet,) = await call.phone_gets(1)
        assert packet.payload_type == events.payload_type
        assert struct.unpack("!BBH", packet.payload) == (7, 0x8A, events.clock_rate // 10)


async def test_digits_of_ours(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call:
        call.web.send(0, b"a" * 160, step=160)
        await call.phone_gets(1)
        call.session.send_digits("4*", 60)
        # Sound of the client during a key is left out, and none of it is heard as loss.
        call.web.send(0, b"b" * 160, step=160)

        def ends() -> list[Header]:
            return [p for p in call.at_phone if p.payload_type == 101 and p.payload[1] & 0x80]

        await call.phone.until(lambda: len(ends()) == 6)
        await call.reports.until_polled(lambda: call.session._forwarder.to_sip.is_open)
        call.web.send(0, b"c" * 160, step=160)
        await call.phone.until(lambda: any(p.payload == b"c" * 160 for p in call.at_phone))
        packets = call.at_phone
        assert [p.payload[0] for p in ends()] == [4, 4, 4, 10, 10, 10]
        assert {struct.unpack_from("!H", p.payload, 2)[0] for p in ends()} == {480}
        assert all(p.payload != b"b" * 160 for p in packets)
        assert [p.sequence for p in packets] == [(packets[0].sequence + n) & 0xFFFF for n in range(len(packets))]
        keys = [p for p in packets if p.payload_type == 101]
        assert len({p.timestamp for p in keys}) == 2
        assert [p.marker for p in keys] == [n in {0, keys.index(_first(keys, 10))} for n in range(len(keys))]
        assert {p.ssrc for p in packets} == {packets[0].ssrc}


def _first(packets: list[Header], code: int) -> Header:
    return next(packet for packet in packets if packet.payload[0] == code)


async def test_digits_where_the_phone_takes_none(media_bench: MediaBench) -> None:
    async with packet_call(media_bench, (PCMU, WEB_EVENTS_8000), (PCMU,)) as call:
        call.session.send_digits("1", 100)
        call.web.send(0, b"a" * 160, step=160)
        (packet,) = await call.phone_gets(1)
        assert packet.payload == b"a" * 160


async def test_phone_behind_a_nat_then_nobody_else(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call, media_bench.phone(PCMU) as behind_nat, media_bench.phone(PCMU) as stranger:
        behind_nat.remote = stranger.remote = call.phone.remote
        behind_nat.send(0, b"n" * 160)
        await call.web_gets(1)
        call.web.send(0, b"a" * 160, step=160)
        await behind_nat.until(lambda: len(behind_nat.packets) == 1)
        stranger.send(0, b"s" * 160)
        behind_nat.send(0, b"m" * 160)
        assert [packet.payload[:1] for packet in await call.web_gets(2)] == [b"n", b"m"]
        # The described address is the peer's own word.
        call.phone.send(0, b"p" * 160)
        await call.web_gets(3)
        call.web.send(0, b"b" * 160, step=160)
        await call.phone_gets(1)
        assert not stranger.packets


BROKEN = {
    "empty": b"",
    "one byte": b"\x80",
    "cut header": b"\x80\x00" + b"\0" * 9,
    "cut extension": b"\x91\x00" + b"\0" * 10,
    "unknown type": b"\x80\x7f" + b"\0" * 200,
    "cut report": b"\x80\xc8",
    "no RTP": b"\xff" * 1400,
}


@pytest.mark.parametrize("packet", BROKEN.values(), ids=BROKEN)
async def test_broken_packets_change_nothing(media_bench: MediaBench, packet: bytes) -> None:
    async with g711(media_bench) as call:
        call.phone.transport.sendto(packet, call.phone.remote)
        if len(packet) >= 12:
            call.web.send_raw(packet)
        call.phone.send(0, b"a" * 160)
        call.web.send(0, b"b" * 160, step=160)
        assert [p.payload for p in await call.web_gets(1)] == [b"a" * 160]
        assert [p.payload for p in await call.phone_gets(1)] == [b"b" * 160]


async def test_reports_follow_rtp_where_the_pbx_multiplexes(media_bench: MediaBench) -> None:
    async with g711(media_bench) as call:
        await call.phone.until(lambda: bool(call.phone.rtcp))
        answer = _audio((await call.session.take_sip_reoffer(call.phone.sdp(rtcp_mux=True))).decode())
        assert answer.rtcp_mux
        await call.phone.until(lambda: any(packet[1] in {200, 201} for packet, _ in call.phone.packets))
