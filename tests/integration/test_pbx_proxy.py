"""What the sandbox PBX does where a call does not go as it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from dialog_sandbox.pbx import Accounts, Pbx, PbxOptions, memory
from dialog_sandbox.pbx.dialing import Order
from dialog_sandbox.phone import Phone
from dialog_sip import NameAddr, Request
from dialog_sip.sip_dialog import initial_request
from pydantic import SecretStr

PASSWORD = "s3cret"


@pytest.fixture
async def pbx() -> AsyncIterator[Pbx]:
    async with Pbx(PbxOptions(Accounts(SecretStr(PASSWORD)), port=0, phones=False)) as opened:
        yield opened


@pytest.fixture
async def phone(pbx: Pbx) -> AsyncIterator[Phone]:
    async with Phone("434", PASSWORD, pbx.address) as opened:
        await opened.register()
        yield opened


def outside(phone: Phone, method: str, target: str, to: str = "<sip:x@127.0.0.1>", **headers: str) -> Request:
    request = initial_request(
        method, target, from_=NameAddr.make(phone.line.aor, tag="t"), to=NameAddr.parse(to), call_id="c1"
    )
    for name, value in headers.items():
        request.headers.set(name.replace("_", "-"), value)
    return request


@pytest.mark.parametrize(
    ("method", "target", "headers", "code"),
    [
        ("OPTIONS", "sip:127.0.0.1", {}, 200),
        ("BYE", "sip:435@127.0.0.1", {"To": "<sip:435@127.0.0.1>;tag=unknown"}, 481),
        ("MESSAGE", "sip:nobody@127.0.0.1", {}, 404),
        ("MESSAGE", "tel:+1234", {}, 404),
        ("MESSAGE", "http://127.0.0.1", {}, 416),
        ("OPTIONS", "sip:434@127.0.0.1", {}, 200),
        ("OPTIONS", "sip:434@127.0.0.1", {"Max_Forwards": "0"}, 483),
        ("MESSAGE", "sip:434@127.0.0.1", {}, 405),
    ],
)
async def test_answers(pbx: Pbx, phone: Phone, method: str, target: str, headers: dict[str, str], code: int) -> None:
    response = await phone.line.transact(outside(phone, method, target, **headers))
    assert response.code == code


async def test_a_callee_whose_connection_is_gone_is_unavailable(pbx: Pbx, phone: Phone) -> None:
    async with Phone("435", PASSWORD, pbx.address, transport="tcp") as other:
        await other.register()
        call = await phone.call("435")
        taken = await other.wait_call()
        taken.answer()
        await call.talking()
        other.line.flow.close()
        await call.hangup()
        assert call.code == 200
        again = await phone.call("435")
        assert await again.ended() == 480


async def test_a_phone_may_call_itself(phone: Phone) -> None:
    # Both ends of the SIP dialog are on one flow, as two mappings of one registrar are.
    call = await phone.call("434")
    taken = await phone.wait_call()
    taken.answer()
    await call.talking()
    taken.audio.play(500)
    await call.audio.wait_tone(500)
    await taken.hangup()
    assert await call.ended() == 200


async def test_bindings_of_udp_peers_outlive_the_pbx(tmp_path: Path) -> None:
    file = tmp_path / "bindings.json"
    options = PbxOptions(Accounts(SecretStr(PASSWORD)), port=0, memory=file)
    async with Pbx(options) as first, Phone("434", PASSWORD, first.address) as callee:
        await callee.register()
        await first.close()
        assert [kept.user for kept in memory.read(file)] == ["434"]
        async with Pbx(replace(options, port=first.address[1])) as second:
            assert list(second.bindings()["434"][0]) == ["contact", "expires", "transport"]
            await second.call(Order("tone", "434"))
            call = await callee.wait_call()
            call.reject(486)


@pytest.mark.parametrize("text", ["", "{", "7", '[{"user": "434"}]', "[1]"])
async def test_a_memory_that_is_not_whole_is_empty(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bindings.json"
    file.write_text(text)
    assert memory.read(file) == []
