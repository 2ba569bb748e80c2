"""Silence of each side for itself: who is to send and does not, and what counts as a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from dialog_bridge.adapters.media import MediaSettings, RelayEngine
from dialog_bridge.adapters.media.codecs import PCMU
from dialog_bridge.adapters.media.session import RelaySession
from dialog_bridge.adapters.media.silence import Silence
from dialog_sandbox.webrtc import WebClient
from dialog_sip.sdp import Direction
from fixtures.media import MediaReports, RtpPhone, free_port_range, rtp_phone_on_loopback

COMFORT_NOISE = 13
"""RFC 3389; agreed by nobody."""


def silence(*, expected: bool = True) -> Silence:
    made = Silence()
    made.expect(expected=expected)
    return made


def test_a_side_is_silent_from_its_last_packet_on() -> None:
    side = silence()
    seen = []
    for now, count in ((10.0, 0), (12.0, 5), (13.0, 5), (20.0, 5), (21.0, 6)):
        side.look(count, now)
        seen.append(side.seconds)
    assert seen == [0.0, 0.0, 1.0, 8.0, 0.0]


def test_a_side_that_is_not_to_send_is_never_silent() -> None:
    side = silence(expected=False)
    for now in (0.0, 100.0, 200.0):
        side.look(0, now)
    assert side.seconds == 0.0


def test_what_was_before_another_sign_of_life_does_not_count() -> None:
    side = silence()
    side.look(0, 0.0)
    side.look(0, 50.0)
    side.expect(expected=True)
    side.look(0, 51.0)
    assert side.seconds == 51.0
    side.break_off()
    side.look(0, 52.0)
    side.look(0, 53.0)
    assert side.seconds == 1.0


def test_a_silence_is_told_once() -> None:
    side = silence()
    told = []
    for now, count in ((0.0, 0), (9.0, 0), (10.0, 0), (11.0, 0), (12.0, 1), (30.0, 1)):
        side.look(count, now)
        told.append(side.is_news(10.0))
    assert told == [False, False, True, False, False, True]


async def until_counted(session: RelaySession, count: int) -> None:
    async with asyncio.timeout(10):
        while session._forwarder.to_web.words < count:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


class Call:
    """An outgoing call towards a phone that says nothing by itself."""

    def __init__(self, session: RelaySession, reports: MediaReports, client: WebClient, phone: RtpPhone) -> None:
        self.session, self.reports, self.client, self.phone = session, reports, client, phone
        self.now = 0.0

    @property
    def expected(self) -> tuple[bool, bool]:
        forwarder = self.session._forwarder
        return forwarder._silence_of_web.expected, forwarder._silence_of_sip.expected

    async def ring(self) -> None:
        self.phone.take(await self.session.take_web_offer(await self.client.offer()))

    async def answer(self, *, early: bool = False, direction: Direction = Direction.SENDRECV) -> None:
        answer = await self.session.take_sip_answer(self.phone.sdp(direction=direction), early=early)
        if answer is not None:
            await self.client.accept(answer)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    lowest, highest = free_port_range(20)
    reports = MediaReports()
    engine = RelayEngine(MediaSettings(port_min=lowest, port_max=highest, ice_loopback=True))
    session = await engine.open("call", "127.0.0.1", reports)
    client = WebClient()
    async with rtp_phone_on_loopback(PCMU) as phone:
        yield Call(session, reports, client, phone)
        await client.close()
        await session.close()


async def test_before_the_answer_nobody_is_waited_for(call: Call) -> None:
    await call.ring()
    await call.answer(early=True)
    assert call.expected == (False, False)
    await call.answer()
    assert call.expected == (True, True)


@pytest.mark.parametrize(
    ("direction", "pbx"),
    [(Direction.SENDONLY, True), (Direction.RECVONLY, False), (Direction.INACTIVE, False)],
)
async def test_the_pbx_is_waited_for_as_its_description_says(call: Call, direction: Direction, pbx: bool) -> None:
    await call.ring()
    await call.answer(direction=direction)
    assert call.expected == (True, pbx)


async def test_on_hold_the_pbx_is_not_waited_for(call: Call) -> None:
    await call.ring()
    await call.answer()
    call.session.sip_offer(held=True)
    assert call.expected == (True, False)
    call.session.sip_offer(held=False)
    await call.session.take_sip_reoffer(call.phone.sdp(direction=Direction.SENDONLY))
    assert call.expected == (True, True)


async def test_comfort_noise_and_reports_are_words(call: Call) -> None:
    await call.ring()
    await call.answer()
    await call.client.connected()
    call.phone.send(PCMU.payload_type, b"\xff" * 160)
    await until_counted(call.session, 1)
    call.phone.send(COMFORT_NOISE, b"\x40")
    await until_counted(call.session, 2)
    report = b"\x80\xc9\x00\x01" + b"\x00" * 4
    rtcp_port = call.session._forwarder.sip.port + 1
    call.phone.rtcp_transport.sendto(report, ("127.0.0.1", rtcp_port))
    await until_counted(call.session, 3)


def watch(call: Call, seconds: int, *, client: bool, pbx: bool) -> None:
    """Let seconds pass in which one side, both or none says something."""
    forwarder = call.session._forwarder
    for _ in range(seconds):
        call.now += 1
        forwarder.to_sip.reports += client
        forwarder.to_web.reports += pbx
        forwarder._watch_silence(call.now)


async def test_a_pbx_that_is_silent_is_asked_about_and_then_given_up(call: Call) -> None:
    await call.ring()
    await call.answer()
    watch(call, 100, client=True, pbx=True)
    watch(call, 29, client=True, pbx=False)
    assert call.reports.silences == 0
    watch(call, 30, client=True, pbx=False)
    assert (call.reports.silences, call.reports.failures) == (1, [])
    watch(call, 10, client=True, pbx=False)
    assert (call.reports.silences, call.reports.failures) == (1, ["no packet from the PBX for 60 s"])


async def test_a_pbx_that_answers_for_itself_is_not_given_up(call: Call) -> None:
    await call.ring()
    await call.answer()
    for number in (1, 2, 3):
        watch(call, 40, client=True, pbx=False)
        assert call.reports.silences == number
        await call.answer()
    assert call.reports.failures == []


async def test_what_we_say_is_no_word_of_the_pbx(call: Call) -> None:
    await call.ring()
    await call.answer()
    watch(call, 40, client=True, pbx=False)
    call.session.sip_offer(held=False)
    watch(call, 30, client=True, pbx=False)
    assert call.reports.failures == ["no packet from the PBX for 60 s"]


async def test_a_client_that_is_silent_ends_the_call(call: Call) -> None:
    await call.ring()
    await call.answer()
    watch(call, 70, client=False, pbx=True)
    assert (call.reports.silences, call.reports.failures) == (0, ["no packet from the client for 60 s"])


async def test_a_pbx_on_hold_may_be_silent(call: Call) -> None:
    await call.ring()
    await call.answer(direction=Direction.INACTIVE)
    watch(call, 1000, client=True, pbx=False)
    assert (call.reports.silences, call.reports.failures) == (0, [])
