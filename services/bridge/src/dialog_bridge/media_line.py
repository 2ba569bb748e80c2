"""The media of one call: one operation after another on its session, which is closed in any case.

The call never waits for media. It puts operations on the line and gets their results back as inputs; a task works them
off. Closing cancels what is under way and drops what waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from dialog_schemas.calls import Quality

from dialog_bridge.model import actions
from dialog_bridge.model.inputs import Input, Kind, MediaNews, MediaRefusal, MediaResult
from dialog_bridge.ports import MediaEngine, MediaError, MediaSession

log = structlog.get_logger(__name__)

MAX_WAITING = 256
"""Operations that wait. Candidates beyond are dropped (ICE does without); anything else beyond fails the call."""

CLOSE_WITHIN = 5.0
"""Seconds for a session to close."""


class MediaLine:
    """Works off media operations. ``feed`` takes what comes of them."""

    def __init__(self, engine: MediaEngine, call_id: str, feed: Callable[[Input], None]) -> None:
        self._engine = engine
        self._call_id = call_id
        self._feed = feed
        self._waiting: asyncio.Queue[actions.MediaAction] = asyncio.Queue(MAX_WAITING)
        self._session: MediaSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def open(self, sip_peer: str) -> None:
        """Open the session and begin."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(sip_peer), name=f"media of {self._call_id}")

    def put(self, operation: actions.MediaAction) -> None:
        """Put an operation on the line."""
        if self._closed:
            return
        try:
            self._waiting.put_nowait(operation)
        except asyncio.QueueFull:
            if not isinstance(operation, actions.AddCandidate):
                self._report(MediaNews(Kind.MEDIA_LOST, "too many operations wait"))

    def quality(self) -> Quality | None:
        """Return what the session counted so far."""
        return None if self._session is None else self._session.quality()

    def close(self) -> None:
        """Close the session; :meth:`gone` tells when it is done."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    @property
    def is_gone(self) -> bool:
        """True once nothing is left of the session."""
        return self._task is None or self._task.done()

    async def gone(self) -> None:
        """Wait until nothing is left of the session."""
        if self._task is not None:
            await asyncio.wait({self._task})

    # What the session reports by itself (``ports.MediaEvents``).

    def candidate_found(self, candidate: str, mid: str | None) -> None:
        """Pass it on."""
        self._report(MediaNews(Kind.CANDIDATE_FOUND, candidate, mid))

    def connected(self) -> None:
        """Pass it on."""
        self._report(MediaNews(Kind.MEDIA_CONNECTED))

    def silent(self) -> None:
        """Pass it on."""
        self._report(MediaNews(Kind.MEDIA_SILENT))

    def failed(self, reason: str) -> None:
        """Pass it on."""
        self._report(MediaNews(Kind.MEDIA_LOST, reason))

    def digit_received(self, digit: str, duration_ms: int) -> None:
        """Pass it on."""
        self._report(MediaNews(Kind.DIGIT_RECEIVED, digit, duration_ms=duration_ms))

    def _report(self, event: Input) -> None:
        if not self._closed:
            self._feed(event)

    async def _run(self, sip_peer: str) -> None:
        try:
            self._session = await self._engine.open(self._call_id, sip_peer, self)
        except MediaError as error:
            self._report(MediaRefusal(Kind.MEDIA_REFUSED, error.sip_code, error.reason))
            return
        except Exception:
            log.exception("media cannot be opened", call_id=self._call_id)
            self._report(MediaRefusal(Kind.MEDIA_REFUSED, 500, "internal error"))
            return
        try:
            await self._work(self._session)
        finally:
            await self._shut(self._session)

    async def _work(self, session: MediaSession) -> None:
        while True:
            operation = await self._waiting.get()
            try:
                result = await _do(session, operation)
            except MediaError as error:
                self._report(MediaRefusal(_refused(operation), error.sip_code, error.reason))
            except Exception:
                # A fault of the engine ends this call and no other.
                log.exception("media operation failed", call_id=self._call_id, operation=type(operation).__name__)
                self._report(MediaRefusal(_refused(operation), 500, "internal error"))
            else:
                if result is not None:
                    self._report(result)

    async def _shut(self, session: MediaSession) -> None:
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await session.close()
        except TimeoutError:
            log.error("media session does not close", call_id=self._call_id, within=CLOSE_WITHIN)
        except Exception:
            log.exception("media session failed to close", call_id=self._call_id)


async def _do(session: MediaSession, operation: actions.MediaAction) -> MediaResult | None:
    match operation:
        case actions.TakeWebOffer(sdp):
            return MediaResult(Kind.OFFER_READY, sip=await session.take_web_offer(sdp))
        case actions.TakeSipAnswer(answer, done):
            early = done is Kind.EARLY_ANSWER_READY
            return MediaResult(done, web=await session.take_sip_answer(answer, early=early))
        case actions.TakeSipOffer(offer):
            return MediaResult(Kind.WEB_OFFER_READY, web=await session.take_sip_offer(offer))
        case actions.TakeWebAnswer(sdp):
            return MediaResult(Kind.SIP_ANSWER_READY, sip=await session.take_web_answer(sdp))
        case actions.TakeSipReoffer(offer):
            return MediaResult(Kind.REANSWER_READY, sip=await session.take_sip_reoffer(offer))
        case actions.MakeSipOffer(held, done):
            return MediaResult(done, sip=session.sip_offer(held=held))
        case actions.AddCandidate(candidate, mid, mline_index):
            session.add_candidate(candidate, mid, mline_index)
        case actions.SendDigits(digits, duration_ms):
            session.send_digits(digits, duration_ms)
    return None


def _refused(operation: actions.MediaAction) -> Kind:
    return operation.refused if isinstance(operation, actions.TakeSipAnswer) else Kind.MEDIA_REFUSED
