"""A UDP port that speaks RTP: plays a tone or echoes, keeps what it heard for a moment, sends and reads digits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np

from dialog_sandbox.media import tone
from dialog_sandbox.media.g711 import SAMPLE_RATE, Law, Samples
from dialog_sandbox.media.rtp import FRAME, RtpPacket, RtpSender
from dialog_sandbox.media.telephone_events import Digit, DigitReceiver, digit_packets

FRAME_SAMPLES = int(SAMPLE_RATE * FRAME)
HEARD_FRAMES = 50
"""A second of sound is kept."""
TONE_SAMPLES = SAMPLE_RATE // 5
"""A tone is looked for in the last 200 ms."""
MAX_DIGITS = 256
MAX_DATAGRAM = 2048

Address = tuple[str, int]


class Sound(Enum):
    """What a port sends."""

    NOTHING = "nothing"
    TONE = "tone"
    ECHO = "echo"


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What was agreed on."""

    payload_type: int
    law: Law | None = None
    """None: a codec that is only echoed."""
    digits: int | None = None
    """Payload type of telephone events."""
    digits_rate: int = SAMPLE_RATE
    """Their clock rate in Hz."""


class AudioPort(asyncio.DatagramProtocol):
    """One RTP port. Open it with :meth:`open`, end it with :meth:`close`."""

    def __init__(self) -> None:
        self.sound = Sound.NOTHING
        """What is sent, as far as :attr:`sends` lets it."""
        self.hertz = 440.0
        """Of the tone."""
        self.sends = True
        """False while held."""
        self.packets_sent = 0
        self.packets_received = 0
        self.digits: deque[Digit] = deque(maxlen=MAX_DIGITS)
        """Keys that the other side pressed."""
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: Address | None = None
        self._format: AudioFormat | None = None
        self._sender = RtpSender()
        self._echoer = RtpSender()
        self._digit_receiver = DigitReceiver()
        self._pending: deque[list[RtpPacket]] = deque()
        self._drained = asyncio.Event()
        self._heard: deque[Samples] = deque(maxlen=HEARD_FRAMES)
        self._played = 0
        self._arrived: asyncio.Future[None] | None = None
        self._pacing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, host: str) -> AudioPort:
        """Bind a free port of ``host``."""
        loop = asyncio.get_running_loop()
        _, port = await loop.create_datagram_endpoint(cls, local_addr=(host, 0))
        return port

    @property
    def local(self) -> Address:
        """Address and port that it is bound to."""
        if self._transport is None:
            raise RuntimeError("the audio port is not open")
        host, port, *_ = self._transport.get_extra_info("sockname")
        return host, port

    def connect(self, remote: Address | None, audio: AudioFormat) -> None:
        """Send to ``remote`` from now on, in this format; to nowhere for None."""
        self._remote, self._format = remote, audio
        self._digit_receiver = DigitReceiver(audio.digits_rate)
        if self._pacing is None:
            self._pacing = asyncio.get_running_loop().create_task(self._pace(), name="rtp-pace")

    def play(self, hertz: float) -> None:
        """Play a tone from now on."""
        self.hertz, self.sound = hertz, Sound.TONE

    async def send_digits(self, digits: str, duration_ms: int = 100) -> None:
        """Press keys, one after another; return when the last is sent. Raises :class:`ValueError` where none can be."""
        if self._format is None or self._format.digits is None or self._format.digits_rate != SAMPLE_RATE:
            raise ValueError("no telephone events were agreed on")
        for digit in digits:
            sender, payload_type = self._sender, self._format.digits
            self._pending.extend(digit_packets(sender, payload_type, digit, duration_ms, FRAME_SAMPLES))
        self._drained.clear()
        async with asyncio.timeout(len(digits) * (duration_ms / 1000 + FRAME) * 2 + 2):
            await self._drained.wait()

    def heard(self) -> Samples:
        """Return the last second of sound; empty where the codec is only echoed."""
        return np.concatenate(self._heard) if self._heard else np.zeros(0, np.int16)

    def hears_tone(self, hertz: float) -> bool:
        """Tell whether what was heard last is mostly this tone, and not silence."""
        last = self.heard()[-TONE_SAMPLES:]
        return last.size == TONE_SAMPLES and tone.level(last) > -50 and tone.goertzel(last, hertz) > 0.5

    async def wait_tone(self, hertz: float, within: float = 5.0) -> None:
        """Return when the tone is heard. Raises :class:`TimeoutError` after ``within`` seconds."""
        await self.wait_until(lambda: self.hears_tone(hertz), within)

    async def wait_until(self, holds: Callable[[], bool], within: float = 5.0) -> None:
        """Return when ``holds()`` after some packet. Raises :class:`TimeoutError` after ``within`` seconds."""
        async with asyncio.timeout(within):
            while not holds():
                if self._arrived is None:
                    self._arrived = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._arrived)

    async def close(self) -> None:
        """Stop sending and give the port back."""
        if self._pacing is not None:
            self._pacing.cancel()
            await asyncio.gather(self._pacing, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        # uvloop's transports are no instances of asyncio's class.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:  # noqa: ARG002
        """Take what came in."""
        packet = RtpPacket.parse(data[:MAX_DATAGRAM])
        if packet is None or self._format is None:
            return
        self.packets_received += 1
        if self.sound is Sound.ECHO:
            self._echo(packet)
        if packet.payload_type == self._format.digits:
            digit = self._digit_receiver.receive(packet)
            if digit is not None:
                self.digits.append(digit)
        elif packet.payload_type == self._format.payload_type and self._format.law is not None:
            self._heard.append(self._format.law.decode(packet.payload))
        if self._arrived is not None:
            self._arrived.set_result(None)
            self._arrived = None

    def _echo(self, packet: RtpPacket) -> None:
        echoed = self._echoer.packet(packet.payload_type, packet.payload, at=packet.timestamp, marker=packet.marker)
        self._send(echoed)

    def _send(self, packet: RtpPacket) -> None:
        if self._transport is not None and self._remote is not None and self.sends:
            self._transport.sendto(packet.encode(), self._remote)
            self.packets_sent += 1

    async def _pace(self) -> None:
        """Send a frame each 20 ms, without drift."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._send_frame()
            # A process that was stopped for a while does not catch up with a burst.
            due = max(due + FRAME, loop.time() - FRAME)
            await asyncio.sleep(due - loop.time())

    def _send_frame(self) -> None:
        if self._pending:
            for packet in self._pending.popleft():
                self._send(packet)
        elif self.sound is Sound.TONE and self._format is not None and self._format.law is not None:
            frame = tone.sine(self.hertz, self._played, FRAME_SAMPLES)
            self._send(self._sender.packet(self._format.payload_type, self._format.law.encode(frame)))
            self._sender.advance(FRAME_SAMPLES)
            self._played += FRAME_SAMPLES
        if not self._pending:
            self._drained.set()
