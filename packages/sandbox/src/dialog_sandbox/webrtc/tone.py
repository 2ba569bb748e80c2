"""Tones, made and measured. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Mono, 16 bits."""

FULL_SCALE = 32767
WINDOW_SECONDS = 0.4
"""What a reading looks at: long enough for 5 Hz of resolution, short enough to notice a change."""
_SILENCE_DBFS = -100.0


def sine(hertz: float, sample_rate: int, count: int, *, start: int = 0, level: float = 0.3) -> Samples:
    """Return ``count`` samples of a sine, from sample ``start`` on; ``level`` is its amplitude, 1 at most."""
    phase = 2 * math.pi * hertz / sample_rate * np.arange(start, start + count)
    return np.asarray(np.sin(phase) * level * FULL_SCALE, np.int16)


def share_of_tone(samples: Samples, hertz: float, sample_rate: int) -> float:
    """Return how much of the signal's energy is at ``hertz``, 0 to 1: one bin of a Fourier transform, as Goertzel's."""
    signal = samples.astype(np.float64)
    energy = float(np.dot(signal, signal))
    if not energy:
        return 0.0
    angle = 2 * math.pi * hertz / sample_rate * np.arange(len(signal))
    bin_ = complex(np.dot(signal, np.cos(angle)), -np.dot(signal, np.sin(angle)))
    return min(1.0, 2 * abs(bin_) ** 2 / (len(signal) * energy))


@dataclass(frozen=True, slots=True)
class ToneReading:
    """What was heard last."""

    share: float
    """Part of the energy that is at the frequency asked for, 0 to 1."""
    level_dbfs: float
    """RMS level; 0 is a full-scale square wave, :data:`_SILENCE_DBFS` is silence."""
    seconds: float
    """How much was looked at."""

    def is_tone(self) -> bool:
        """Return whether the tone, and little else, was heard over a whole window. A codec leaves 90 % and more."""
        return self.share > 0.8 and self.level_dbfs > -40 and self.seconds >= WINDOW_SECONDS * 0.9


class ToneMeter:
    """Keeps the last :data:`WINDOW_SECONDS` of a signal."""

    def __init__(self) -> None:
        self._window: Samples = np.zeros(0, np.int16)
        self._sample_rate = 8000

    def take(self, samples: Samples, sample_rate: int) -> None:
        """Add samples. Another sample rate than before starts anew."""
        before = self._window if sample_rate == self._sample_rate else self._window[:0]
        self._sample_rate = sample_rate
        self._window = np.concatenate((before, samples))[-int(WINDOW_SECONDS * sample_rate) :]

    def clear(self) -> None:
        """Forget what was heard."""
        self._window = self._window[:0]

    def reading(self, hertz: float) -> ToneReading:
        """Return how much of ``hertz`` there is."""
        signal = self._window.astype(np.float64)
        rms = math.sqrt(float(np.mean(signal**2))) if len(signal) else 0.0
        return ToneReading(
            share=share_of_tone(self._window, hertz, self._sample_rate),
            level_dbfs=20 * math.log10(rms / FULL_SCALE) if rms else _SILENCE_DBFS,
            seconds=len(signal) / self._sample_rate,
        )
