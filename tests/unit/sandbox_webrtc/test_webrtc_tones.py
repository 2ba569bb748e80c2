"""Tones made and measured."""

from __future__ import annotations

import numpy as np
import pytest
from dialog_sandbox.webrtc import ToneMeter, share_of_tone, sine


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_tone_is_told_from_others(rate: int) -> None:
    tone = sine(440, rate, rate // 2)
    assert share_of_tone(tone, 440, rate) > 0.999
    assert share_of_tone(tone, 660, rate) < 0.001


def test_frames_join_without_a_click() -> None:
    whole = sine(440, 8000, 320)
    assert np.array_equal(np.concatenate((sine(440, 8000, 160), sine(440, 8000, 160, start=160))), whole)


def test_silence_and_noise_are_no_tone() -> None:
    meter = ToneMeter()
    assert not meter.reading(440).is_tone()
    meter.take(np.zeros(8000, np.int16), 8000)
    assert meter.reading(440).level_dbfs == -100
    assert not meter.reading(440).is_tone()
    meter.take(np.random.default_rng(1).integers(-9000, 9000, 8000).astype(np.int16), 8000)
    assert not meter.reading(440).is_tone()


def test_the_meter_looks_at_the_last_moments() -> None:
    meter = ToneMeter()
    meter.take(sine(440, 8000, 8000), 8000)
    assert meter.reading(440).is_tone()
    assert meter.reading(440).level_dbfs == pytest.approx(-13.5, abs=0.1)
    meter.take(sine(660, 8000, 8000), 8000)
    assert meter.reading(660).is_tone()
    meter.take(sine(660, 48000, 4800), 48000)
    assert not meter.reading(660).is_tone()
    meter.take(sine(660, 48000, 48000, start=4800), 48000)
    meter.clear()
    assert meter.reading(660).seconds == 0
