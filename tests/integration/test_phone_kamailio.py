"""Test phones behind Debian's Kamailio: what we say of registrations and SIP dialogs is said to a stranger here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from dialog_sandbox.phone import Phone, RegistrationRefusedError

PASSWORD = "correct-horse"

pytestmark = pytest.mark.needs("kamailio")


@pytest.fixture(params=["udp", "tcp"])
async def phones(kamailio: Any, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Phone, Phone]]:
    pbx = await kamailio()
    async with AsyncExitStack() as stack:
        opened = []
        for user, transport in (("alice", request.param), ("bob", "udp")):
            phone = await stack.enter_async_context(Phone(user, PASSWORD, pbx.address, transport=transport))
            await phone.register()
            opened.append(phone)
        yield opened[0], opened[1]


async def test_calls_hold_digits_and_hangup(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    call = await alice.call("bob")
    call.audio.play(500)
    taken = await bob.wait_call()
    taken.audio.play(800)
    taken.ring()
    await call.ringing()
    taken.answer()
    await call.talking()
    await call.audio.wait_tone(800)
    await taken.audio.wait_tone(500)
    # The way back is the route set, and so is each request in the SIP dialog.
    assert call.sip_dialog is not None
    assert call.sip_dialog.record.route_set
    await taken.hold()
    await call.was_held(held=True)
    await taken.resume()
    await call.was_held(held=False)
    await call.send_digits("7")
    await taken.audio.wait_until(lambda: bool(taken.audio.digits))
    await taken.hangup()
    assert await call.ended() == 200


async def test_cancel(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    call = await alice.call("bob")
    taken = await bob.wait_call()
    taken.ring()
    await call.ringing()
    await call.hangup()
    assert await taken.ended() == 487


async def test_busy_and_unknown(phones: tuple[Phone, Phone]) -> None:
    alice, bob = phones
    call = await alice.call("bob")
    (await bob.wait_call()).reject(486)
    assert await call.ended() == 486
    assert await (await alice.call("nobody")).ended() == 404


async def test_refreshes_before_a_short_grant_ends_and_unregisters(kamailio: Any) -> None:
    pbx = await kamailio(max_expires=6)  # Less than five cannot be kept up with in six REGISTERs in 20 s.
    async with Phone("alice", PASSWORD, pbx.address) as phone:
        await phone.register()
        (first,) = await pbx.contacts("alice")
        (later,) = await pbx.wait_contacts("alice", lambda found: not found or found[0]["CSeq"] > first["CSeq"])
        assert later["Call-ID"] == first["Call-ID"]
        await phone.unregister()
        await pbx.wait_contacts("alice", lambda found: not found)


async def test_a_wrong_password(kamailio: Any) -> None:
    pbx = await kamailio()
    async with Phone("alice", "wrong", pbx.address) as phone:
        with pytest.raises(RegistrationRefusedError, match="401"):
            await phone.register()
