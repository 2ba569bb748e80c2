"""G.711, both laws, as table look-ups on arrays (ITU-T G.711). Samples are int16 at 8000 Hz."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
SAMPLE_RATE = 8000
"""Hz."""

_CODES = np.arange(256, dtype=np.int32)
_MU_BIAS = 132


def _mu_law_values() -> Samples:
    code = ~_CODES & 0xFF
    magnitude = (((code & 0x0F) << 3) + _MU_BIAS << ((code >> 4) & 7)) - _MU_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law_values() -> Samples:
    code = _CODES ^ 0x55
    segment, step = (code >> 4) & 7, (code & 0x0F) << 4
    magnitude = np.where(segment == 0, step + 8, step + 0x108 << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest_codes(values: Samples) -> npt.NDArray[np.uint8]:
    """Return, for each of the 65,536 samples, the code whose value is nearest."""
    order = np.argsort(values, kind="stable")
    ascending = values[order].astype(np.int32)
    between = (ascending[1:] + ascending[:-1]) / 2
    samples = np.arange(-32768, 32768)
    return order[np.searchsorted(between, samples)].astype(np.uint8)


class Law(Enum):
    """The two laws, by the encoding names of RFC 3551 section 4.5.14."""

    PCMU = "PCMU"
    PCMA = "PCMA"

    def encode(self, samples: Samples) -> bytes:
        """Return one byte a sample."""
        return _ENCODE[self][samples.astype(np.int32) + 32768].tobytes()

    def decode(self, payload: bytes) -> Samples:
        """Return one sample a byte."""
        return _VALUES[self][np.frombuffer(payload, np.uint8)]


_VALUES = {Law.PCMU: _mu_law_values(), Law.PCMA: _a_law_values()}
_ENCODE = {law: _nearest_codes(values) for law, values in _VALUES.items()}
