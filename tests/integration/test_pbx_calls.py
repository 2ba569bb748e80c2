"""The sandbox PBX and its phones, all of it for real on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from dialog_sandbox.media.audio_port import Sound
from dialog_sandbox.pbx import Accounts, Order, Pbx, PbxOptions
from dialog_sandbox.phone import CallEndedError, Phone, RegistrationRefusedError
from dialog_sip.digest import Algorithm
from pydantic import SecretStr

PASSWORD = "s3cret"


@pytest.fixture
async def pbx() -> AsyncIterator[Pbx]:
    async with Pbx(PbxOptions(Accounts(SecretStr(PASSWORD)), port=0)) as opened:
        yield opened


@pytest.fixture(params=["udp", "tcp"])
async def phone(pbx: Pbx, request: pytest.FixtureRequest) -> AsyncIterator[Phone]:
    async with Phone("434", PASSWORD, pbx.address, transport=request.param) as opened:
        await opened.register()
        yield opened


@pytest.fixture
async def other(pbx: Pbx) -> AsyncIterator[Phone]:
    async with Phone("435", PASSWORD, pbx.address) as opened:
        await opened.register()
        yield opened


async def test_registers_and_unregisters(pbx: Pbx, phone: Phone) -> None:
    assert set(pbx.bindings()) == {"434", "echo", "tone", "busy", "reject", "silent"}
    assert pbx.bindings()["434"][0]["expires"] == pytest.approx(600, abs=2)
    await phone.unregister()
    assert "434" not in pbx.bindings()


async def test_a_wrong_password_is_refused(pbx: Pbx) -> None:
    async with Phone("436", "wrong", pbx.address) as phone:
        with pytest.raises(RegistrationRefusedError, match="403"):
            await phone.register()


async def test_echo(phone: Phone) -> None:
    call = await phone.call("echo")
    call.audio.play(660)
    await call.ringing()
    await call.talking()
    await call.audio.wait_tone(660)
    await call.hangup()
    assert call.code == 200


async def test_tone(phone: Phone) -> None:
    call = await phone.call("tone")
    await call.talking()
    await call.audio.wait_tone(440)
    await call.hangup()


@pytest.mark.parametrize(("user", "code"), [("busy", 486), ("reject", 603), ("unknown", 404)])
async def test_refusals(phone: Phone, user: str, code: int) -> None:
    call = await phone.call(user)
    assert await call.ended() == code


async def test_silent_rings_until_cancel(phone: Phone) -> None:
    call = await phone.call("silent")
    await call.ringing()
    await call.hangup()
    assert await call.ended() == 487


async def test_a_user_whose_registration_is_over_is_unavailable(pbx: Pbx, phone: Phone, other: Phone) -> None:
    await other.unregister()
    call = await phone.call("435")
    assert await call.ended() == 480


async def test_two_phones_talk_both_ways_and_the_called_one_hangs_up(phone: Phone, other: Phone) -> None:
    call = await phone.call("435")
    call.audio.play(500)
    taken = await other.wait_call()
    taken.audio.play(800)
    taken.ring()
    await call.ringing()
    taken.answer()
    await call.talking()
    await call.audio.wait_tone(800)
    await taken.audio.wait_tone(500)
    await taken.hangup()
    assert await call.ended() == 200
    assert not phone.calls
    assert not other.calls


async def test_hold_and_resume(phone: Phone, other: Phone) -> None:
    call = await phone.call("435")
    taken = await other.wait_call()
    taken.answer()
    taken.audio.play(800)
    await call.talking()
    await call.audio.wait_tone(800)
    await call.hold()
    await taken.was_held(held=True)
    received = call.audio.packets_received
    with pytest.raises(TimeoutError):
        await call.audio.wait_until(lambda: call.audio.packets_received > received + 3, within=0.2)
    await call.resume()
    await taken.was_held(held=False)
    await call.audio.wait_until(lambda: call.audio.packets_received > received + 3)
    await call.hangup()


async def test_the_called_side_can_hold_as_well(phone: Phone, other: Phone) -> None:
    call = await phone.call("435")
    taken = await other.wait_call()
    taken.answer()
    await call.talking()
    await taken.hold()
    await call.was_held(held=True)
    await call.hangup()
    assert await taken.ended() == 200


async def test_digits_both_ways(phone: Phone, other: Phone) -> None:
    call = await phone.call("435")
    taken = await other.wait_call()
    taken.answer()
    await call.talking()
    await call.send_digits("12#", 60)
    await taken.audio.wait_until(lambda: len(taken.audio.digits) == 3)
    assert "".join(digit.digit for digit in taken.audio.digits) == "12#"
    await taken.send_digits("*", 60)
    await call.audio.wait_until(lambda: len(call.audio.digits) == 1)
    await call.hangup()


async def test_the_caller_gives_up_while_it_rings(phone: Phone, other: Phone) -> None:
    call = await phone.call("435")
    taken = await other.wait_call()
    taken.ring()
    await call.ringing()
    await call.hangup()
    assert await taken.ended() == 487
    with pytest.raises(CallEndedError):
        taken.answer()


async def test_a_phone_that_closes_ends_its_calls(pbx: Pbx, phone: Phone) -> None:
    async with Phone("437", PASSWORD, pbx.address) as leaving:
        await leaving.register()
        call = await phone.call("437")
        taken = await leaving.wait_call()
        taken.answer()
        await call.talking()
    assert await call.ended() == 200
    assert "437" not in pbx.bindings()


async def test_a_phone_of_the_pbx_calls_on_request(pbx: Pbx, phone: Phone) -> None:
    name = await pbx.call(Order("tone", "434"))
    taken = await phone.wait_call()
    taken.audio.sound = Sound.ECHO
    taken.ring()
    taken.answer()
    await taken.audio.wait_tone(440)
    (mine,) = pbx.dialer.reports()
    assert (mine["id"], mine["state"]) == (name, "talking")
    assert await pbx.dialer.hangup(name)
    assert await taken.ended() == 200
    report = pbx.dialer.report(name)
    assert report is not None
    assert (report["state"], report["code"]) == ("ended", 200)
    with pytest.raises(LookupError):
        await pbx.call(Order("nobody", "434"))


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_every_digest_algorithm(algorithm: Algorithm) -> None:
    options = PbxOptions(Accounts(SecretStr(PASSWORD)), port=0, algorithms=(algorithm,))
    async with Pbx(options) as opened, Phone("434", PASSWORD, opened.address) as phone:
        await phone.register()
        assert await (await phone.call("busy")).ended() == 486


async def test_a_short_interval_is_answered_423() -> None:
    options = PbxOptions(Accounts(SecretStr(PASSWORD)), port=0, minimum=120, grant=300, phones=False)
    async with Pbx(options) as strict, Phone("434", PASSWORD, strict.address) as phone:
        await phone.register(expires=60)
        assert strict.bindings()["434"][0]["expires"] == pytest.approx(120, abs=2)
