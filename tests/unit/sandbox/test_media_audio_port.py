"""Two audio ports on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from dialog_sandbox.media.audio_port import AudioFormat, AudioPort, Sound
from dialog_sandbox.media.g711 import Law


@pytest.fixture
async def ports() -> AsyncIterator[tuple[AudioPort, AudioPort]]:
    one, other = await AudioPort.open("127.0.0.1"), await AudioPort.open("127.0.0.1")
    audio = AudioFormat(8, Law.PCMA, digits=101)
    one.connect(other.local, audio)
    other.connect(one.local, audio)
    yield one, other
    await one.close()
    await other.close()


async def test_a_tone_is_heard(ports: tuple[AudioPort, AudioPort]) -> None:
    one, other = ports
    one.play(440)
    await other.wait_tone(440)
    assert not other.hears_tone(880)
    one.play(880)
    await other.wait_tone(880)


async def test_an_echo_comes_back(ports: tuple[AudioPort, AudioPort]) -> None:
    one, other = ports
    other.sound = Sound.ECHO
    one.play(660)
    await one.wait_tone(660)


async def test_digits_arrive_in_order(ports: tuple[AudioPort, AudioPort]) -> None:
    one, other = ports
    one.play(440)
    await one.send_digits("1#9", 60)
    await other.wait_until(lambda: len(other.digits) == 3)
    assert [digit.digit for digit in other.digits] == ["1", "#", "9"]


async def test_nothing_is_sent_while_held(ports: tuple[AudioPort, AudioPort]) -> None:
    one, other = ports
    one.sends = False
    one.play(440)
    with pytest.raises(TimeoutError):
        await other.wait_until(lambda: other.packets_received > 0, within=0.1)


async def test_digits_need_an_agreement() -> None:
    port = await AudioPort.open("127.0.0.1")
    port.connect(None, AudioFormat(8, Law.PCMA))
    with pytest.raises(ValueError, match="telephone events"):
        await port.send_digits("1")
    await port.close()
