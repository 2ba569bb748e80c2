"""baresip behind the sandbox PBX: a phone of somebody else's registers, is called and calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from dialog_sandbox.media import tone
from dialog_sandbox.pbx import Accounts, Pbx, PbxOptions
from dialog_sandbox.phone import Phone
from pydantic import SecretStr

PASSWORD = "s3cret"

pytestmark = pytest.mark.needs("baresip")


@pytest.fixture
async def pbx() -> AsyncIterator[Pbx]:
    async with Pbx(PbxOptions(Accounts(SecretStr(PASSWORD)), port=0)) as opened:
        yield opened


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_it_is_called_and_hears(pbx: Pbx, baresip: Any, transport: str) -> None:
    other = await baresip("bob", pbx.address, PASSWORD, hertz=700, transport=transport)
    await other.registered()
    async with Phone("alice", PASSWORD, pbx.address) as phone:
        call = await phone.call("bob")
        call.audio.play(500)
        await call.talking()
        await call.audio.wait_tone(700)
        # It hears about as long as it is heard.
        await call.audio.wait_until(lambda: call.audio.packets_received >= 40)
        await call.hangup()
    await other.wait_event("CALL_CLOSED")
    assert tone.loudest_frequency(other.heard()[800:]) == pytest.approx(500, abs=10)


@pytest.mark.parametrize("codec", ["pcmu", "pcma", "opus/48000/2"])
async def test_it_calls_the_echo_phone_and_hears_itself(pbx: Pbx, baresip: Any, codec: str) -> None:
    other = await baresip("bob", pbx.address, PASSWORD, hertz=700, codecs=codec)
    await other.registered()
    await other.dial(f"sip:echo@127.0.0.1:{pbx.address[1]}")
    await other.wait_event("CALL_ESTABLISHED")
    (echo,) = (phone for phone in pbx.phones if phone.user == "echo")
    (call,) = echo.calls
    await call.audio.wait_until(lambda: call.audio.packets_sent >= 40)
    await other.hangup()
    await other.wait_event("CALL_CLOSED")
    assert tone.loudest_frequency(other.heard()[800:]) == pytest.approx(700, abs=10)


async def test_it_calls_and_hangs_up(pbx: Pbx, baresip: Any) -> None:
    other = await baresip("bob", pbx.address, PASSWORD, hertz=700)
    await other.registered()
    async with Phone("alice", PASSWORD, pbx.address) as phone:
        await phone.register()
        await other.dial(f"sip:alice@127.0.0.1:{pbx.address[1]}")
        taken = await phone.wait_call()
        taken.audio.play(500)
        taken.ring()
        taken.answer()
        await taken.audio.wait_tone(700)
        await other.hangup()
        assert await taken.ended() == 200
