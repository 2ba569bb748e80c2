"""Sine tones: made, and found again in what was heard."""

from __future__ import annotations

import math

import numpy as np

from dialog_sandbox.media.g711 import SAMPLE_RATE, Samples

FULL_SCALE = 32767.0
SILENCE_DBFS = -96.0
"""The level of nothing: one bit of sixteen."""


def sine(hertz: float, first_sample: int, count: int, level_dbfs: float = -12.0) -> Samples:
    """Return ``count`` samples of a tone that began at sample 0, so that frames join without a step."""
    times = np.arange(first_sample, first_sample + count) / SAMPLE_RATE
    amplitude = FULL_SCALE * 10 ** (level_dbfs / 20)
    return np.round(amplitude * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


def level(samples: Samples) -> float:
    """Return the level in dBFS, where a sine of full scale has 0."""
    if samples.size == 0:
        return SILENCE_DBFS
    power = float(np.mean(samples.astype(np.float64) ** 2)) / (FULL_SCALE**2 / 2)
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS


def goertzel(samples: Samples, hertz: float) -> float:
    """Return which part of the power of ``samples`` is in this one frequency: 1 for a clean tone, near 0 for others."""
    if samples.size == 0:
        return 0.0
    values = samples.astype(np.float64)
    total = float(np.sum(values**2))
    turns = np.exp(-2j * np.pi * hertz / SAMPLE_RATE * np.arange(values.size))
    found = abs(complex(np.sum(values * turns))) ** 2 * 2 / values.size
    return min(1.0, found / total) if total > 0 else 0.0


def loudest_frequency(samples: Samples) -> float | None:
    """Return the loudest frequency in Hz, or None in silence.

    A tone seldom falls into the middle of one of the spectrum's lines, which are 10 Hz apart for a tenth of a
    second: a parabola through the highest line and its neighbours, in decibels, gives the place between them.
    """
    if level(samples) <= -60:
        return None
    spectrum = np.log(np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(samples.size))) + 1e-9)
    peak = int(np.clip(np.argmax(spectrum), 1, spectrum.size - 2))
    before, at, after = spectrum[peak - 1 : peak + 2]
    curve = 2 * at - before - after
    shift = 0.5 * (after - before) / curve if curve > 0 else 0.0
    return float((peak + shift) * SAMPLE_RATE / samples.size)
