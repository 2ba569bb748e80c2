"""The client: an :class:`RTCPeerConnection` of aiortc with a tone at one end and a meter at the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame

from dialog_sandbox.webrtc.loopback import gather_on_loopback
from dialog_sandbox.webrtc.tone import ToneMeter, ToneReading
from dialog_sandbox.webrtc.track import ToneTrack

CandidateFound = Callable[[str, str | None, int | None], None]
"""``candidate:...`` (empty: the last one was told), mid, index of the media section."""


class WebClient:
    """One call of the messenger's client. ``codecs`` are names in order of preference: opus, PCMU, PCMA.

    With ``candidate_found`` the client trickles: its descriptions hold no candidates. Without ``loopback`` all
    interfaces are used.
    """

    def __init__(
        self,
        *,
        codecs: Sequence[str] = ("opus", "PCMU", "PCMA"),
        tone_hz: float = 440.0,
        candidate_found: CandidateFound | None = None,
        loopback: bool = True,
    ) -> None:
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._codecs = [name.lower() for name in codecs]
        self._tone = ToneTrack(tone_hz)
        self._candidate_found = candidate_found
        self._loopback = loopback
        self._meter = ToneMeter()
        self._heard = asyncio.Event()
        self._state = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self._peer.on("track", self._listen)
        self._peer.on("connectionstatechange", self._state.set)

    @property
    def state(self) -> str:
        """``connectionState`` (W3C WebRTC 1.0 section 4.4.3)."""
        return str(self._peer.connectionState)

    @property
    def frames_heard(self) -> int:
        """Audio frames received so far."""
        return self._frames

    _frames = 0

    async def offer(self) -> str:
        """Return the description of a call that the client starts."""
        self._peer.addTransceiver(self._tone, direction="sendrecv")
        self._prefer_codecs()
        return await self._describe(await self._peer.createOffer())

    async def accept(self, answer: str) -> None:
        """Take the answer to :meth:`offer`."""
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer(self, offer: str) -> str:
        """Take an offer and return the answer."""
        # Before the offer is taken: aiortc settles the codecs while it takes it.
        self._peer.addTransceiver(self._tone, direction="sendrecv")
        self._prefer_codecs()
        await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        return await self._describe(await self._peer.createAnswer())

    async def add_candidate(self, candidate: str, mid: str | None = None, mline_index: int | None = None) -> None:
        """Take a candidate of the other side; an empty one ends the list."""
        found = candidate_from_sdp(candidate.removeprefix("candidate:")) if candidate else None
        if found is not None:
            found.sdpMid, found.sdpMLineIndex = mid, mline_index
        await self._peer.addIceCandidate(found)

    async def connected(self, *, within: float = 10.0) -> None:
        """Wait for ICE and DTLS. Raises :class:`ConnectionError` where they fail, :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            while self.state != "connected":
                if self.state in {"failed", "closed"}:
                    raise ConnectionError(f"the connection is {self.state}")
                self._state.clear()
                await self._state.wait()

    async def hears(self, hertz: float, *, within: float = 10.0) -> ToneReading:
        """Wait for a tone and return its reading. Raises :class:`TimeoutError` with the last one in words."""
        try:
            async with asyncio.timeout(within):
                while not self.reading(hertz).is_tone():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise TimeoutError(f"no tone of {hertz:g} Hz within {within:g} s, but {self.reading(hertz)}") from None
        return self.reading(hertz)

    def reading(self, hertz: float) -> ToneReading:
        """Return what was heard last."""
        return self._meter.reading(hertz)

    def forget(self) -> None:
        """Forget what was heard, so that the next reading is of what comes from now on."""
        self._meter.clear()

    async def close(self) -> None:
        """Hang up the media. Safe to call twice."""
        self._tone.stop()
        await self._peer.close()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _describe(self, description: RTCSessionDescription) -> str:
        if self._loopback:
            gather_on_loopback(self._peer)
        await self._peer.setLocalDescription(description)
        sdp = str(self._peer.localDescription.sdp)
        return sdp if self._candidate_found is None else self._trickled(sdp, self._candidate_found)

    def _trickled(self, sdp: str, found: CandidateFound) -> str:
        lines = sdp.splitlines()
        candidates = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate:")]
        loop = asyncio.get_running_loop()
        for candidate in [*candidates, ""]:
            loop.call_soon(found, candidate, self._peer.getTransceivers()[0].mid, 0)
        kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
        return "\r\n".join([*kept, ""])

    def _prefer_codecs(self) -> None:
        known = RTCRtpSender.getCapabilities("audio").codecs
        preferred = [codec for name in self._codecs for codec in known if codec.name.lower() == name]
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "audio":
                transceiver.setCodecPreferences(preferred)

    def _listen(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._listener is None:
            self._listener = asyncio.create_task(self._measure(track))

    async def _measure(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, AudioFrame):
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self._meter.take(samples.astype(np.int16), frame.sample_rate)
                self._frames += 1
                self._heard.set()
