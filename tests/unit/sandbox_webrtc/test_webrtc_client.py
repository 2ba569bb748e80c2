"""The WebRTC client against itself."""

from __future__ import annotations

import asyncio

import pytest
from dialog_sandbox.webrtc import WebClient


@pytest.mark.parametrize("codec", ["opus", "PCMU", "PCMA"])
async def test_two_clients_hear_each_other(codec: str) -> None:
    caller, callee = WebClient(codecs=[codec], tone_hz=440), WebClient(tone_hz=660)
    try:
        await caller.accept(await callee.answer(await caller.offer()))
        await asyncio.gather(caller.connected(), callee.connected())
        await asyncio.gather(caller.hears(660), callee.hears(440))
        assert caller.frames_heard > 0
        caller.forget()
        assert not caller.reading(660).is_tone()
    finally:
        await caller.close()
        await callee.close()


async def test_candidates_apart_from_the_description() -> None:
    found: list[tuple[str, str | None, int | None]] = []
    caller = WebClient(candidate_found=lambda *candidate: found.append(candidate))
    callee = WebClient()
    try:
        offer = await caller.offer()
        assert "a=candidate" not in offer
        await caller.accept(await callee.answer(offer))
        for candidate in found:
            await callee.add_candidate(*candidate)
        await asyncio.gather(caller.connected(), callee.connected())
        assert [candidate[0] for candidate in found][-1] == ""
        assert all(" 127.0.0.1 " in candidate[0] for candidate in found[:-1])
    finally:
        await caller.close()
        await callee.close()
        await callee.close()


async def test_a_deadline_says_what_was_heard() -> None:
    client = WebClient()
    try:
        with pytest.raises(TimeoutError, match=r"no tone of 440 Hz within 0\.01 s, but ToneReading"):
            await client.hears(440, within=0.01)
        with pytest.raises(TimeoutError):
            await client.connected(within=0.01)
    finally:
        await client.close()
