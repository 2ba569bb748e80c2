"""The DTLS association with the client (RFC 5763), which outlives the ICE generation that it was made on.

aiortc's :class:`RTCDtlsTransport` reads and writes an ICE transport. It is given a :class:`Link` instead, which sends
on whatever generation is current and is fed by the taps, so that an ICE restart leaves the association and its keys
alone (RFC 8842 section 5.5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from aiortc import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from dialog_sip.sdp import Fingerprint

from dialog_bridge.adapters.media.certificate import SharedCertificate
from dialog_bridge.adapters.media.srtp import Srtp

MAX_QUEUED = 32
"""Datagrams of a handshake that wait; a flight has five."""


class Link:
    """What aiortc's DTLS uses of an ICE transport. ``send`` returns False where nothing is connected."""

    role = "controlled"
    """Only asked where the DTLS role is not known, which it always is here."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        self._datagrams: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_QUEUED)
        self._out = send

    def feed(self, datagram: bytes) -> None:
        """Take a datagram of the client. Beyond :data:`MAX_QUEUED` it is dropped; DTLS repeats what was lost."""
        if not self._datagrams.full():
            self._datagrams.put_nowait(datagram)

    async def _recv(self) -> bytes:
        datagram = await self._datagrams.get()
        if datagram is None:
            raise ConnectionError("closed")
        return datagram

    async def _send(self, datagram: bytes) -> None:
        if not self._out(datagram):
            raise ConnectionError("not connected")


class Association:
    """DTLS on a :class:`Link`. ``closed`` is called where the client closes it (RFC 8446 section 6.1, close_notify)."""

    def __init__(self, link: Link, certificate: SharedCertificate, closed: Callable[[], None]) -> None:
        self._transport = RTCDtlsTransport(cast("RTCIceTransport", link), [certificate])
        self._closed = closed

    async def handshake(self, fingerprints: Sequence[Fingerprint], *, active: bool) -> Srtp | None:
        """Shake hands, as the client (RFC 5763 ``active``) or the server, and return the SRTP sessions, or None."""
        self._transport._set_role("client" if active else "server")  # noqa: SLF001 - aiortc's peer connection does so too
        await self._transport.start(RTCDtlsParameters([RTCDtlsFingerprint(f.algorithm, f.value) for f in fingerprints]))
        if self._transport.state != "connected":
            return None
        self._transport.on("statechange", self._state_changed)
        return Srtp(self._transport)

    async def close(self) -> None:
        """Say goodbye and end the reading task."""
        self._transport.remove_all_listeners()
        reader = self._transport._task  # noqa: SLF001 - stop() cancels it and does not wait
        await self._transport.stop()
        if reader is not None:
            await asyncio.gather(reader, return_exceptions=True)

    def _state_changed(self) -> None:
        if self._transport.state in {"closed", "failed"}:
            self._closed()
