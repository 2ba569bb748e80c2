"""An aiortc track that is a tone in real time."""

from __future__ import annotations

import asyncio
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import AudioFrame

from dialog_sandbox.webrtc.tone import sine

SAMPLE_RATE = 48000
_SAMPLES = SAMPLE_RATE // 50
"""20 ms."""


class ToneTrack(MediaStreamTrack):
    """A sine of ``hertz``, 20 ms a frame. Ends with :meth:`stop`."""

    kind = "audio"

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self.hertz = hertz
        self._sent = 0
        self._started = 0.0

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        loop = asyncio.get_running_loop()
        if not self._sent:
            self._started = loop.time()
        await asyncio.sleep(max(0.0, self._started + self._sent / SAMPLE_RATE - loop.time()))
        samples = sine(self.hertz, SAMPLE_RATE, _SAMPLES, start=self._sent)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._sent
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._sent += _SAMPLES
        return frame
