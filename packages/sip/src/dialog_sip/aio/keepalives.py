"""Keeps flows alive (RFC 5626 section 4.4), and says which of them are dead.

Theory of operation. There are two ways. *Plain*: every flow that we opened is pinged each so many seconds, all at once;
it asks nothing of the peer, and keeps the bindings of NATs. *Outbound*, for one flow at a time, where the registrar
said that it does outbound (``Require: outbound`` or Flow-Timer): times are those of the RFC, an answer is due, over UDP
the ping is a STUN Binding request, and a flow without an answer is cut with the reason, so that its owner hears of it.
Whether something came is looked at when the timer runs out, not when it comes: that costs the messages nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from random import Random

from dialog_sip.aio.flow import Flow, FlowError
from dialog_sip.registration.keepalive import Keepalive, KeepaliveState
from dialog_sip.stun import TRANSACTION_SIZE, binding_answer, binding_request, read_binding

log = logging.getLogger(__name__)

_BLANKS = b"\r\n\0"
"""A datagram of nothing but these keeps a NAT's binding open and says nothing."""
SILENT = "the peer answered no keepalive"
"""Why a flow was cut: no answer (RFC 5626 section 4.4)."""
MOVED = "the peer sees us under another address than before"
"""Why a flow was cut: a NAT gave us another address (RFC 5626 section 4.4.2)."""


class _Kept:
    """One flow with outbound."""

    def __init__(self, flow: Flow, flow_timer: int | None, rng: Random) -> None:
        self._flow = flow
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._pinged_at = self._loop.time()
        self._keepalive = Keepalive(self._pinged_at, rng.random(), reliable=flow.reliable, flow_timer=flow_timer)
        self._heard = flow.heard
        self._transaction = b""
        self._timer: asyncio.TimerHandle | None = None
        self._plan()

    def take_flow_timer(self, seconds: int | None) -> None:
        """Take what the registrar says now."""
        self._keepalive.take_flow_timer(seconds, self._loop.time(), self._rng.random())
        self._plan()

    def answered(self, transaction: bytes, mapped: tuple[str, int] | None) -> None:
        """Take a STUN answer."""
        if transaction == self._transaction and mapped is not None:
            self._keepalive.seen_as(mapped)
            if self._keepalive.state is KeepaliveState.DEAD:
                self._flow.cut(MOVED)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        self.stop()
        if self._keepalive.timer is not None and not self._flow.closed:
            self._timer = self._loop.call_at(self._keepalive.timer, self._on_timer)

    def _on_timer(self) -> None:
        keepalive, now = self._keepalive, self._loop.time()
        was_quiet = keepalive.state is KeepaliveState.QUIET
        if not was_quiet and self._flow.heard != self._heard:
            keepalive.heard(self._pinged_at, self._rng.random())
        elif keepalive.handle_timer(now) is KeepaliveState.DEAD:
            self._flow.cut(SILENT)
        elif keepalive.state is KeepaliveState.PINGED:
            self._ping(now, again=not was_quiet)
        self._plan()

    def _ping(self, now: float, *, again: bool) -> None:
        if not again:
            self._heard, self._pinged_at = self._flow.heard, now
            self._transaction = secrets.token_bytes(TRANSACTION_SIZE)
        try:
            if self._flow.reliable:
                self._flow.ping()
            else:
                self._flow.send(binding_request(self._transaction))
        except FlowError as error:
            # No answer will come either, and then the flow is cut.
            log.debug("keepalive failed on %s: %s", self._flow.id, error)


class Keepalives:
    """The keepalives of one endpoint (RFC 5626 section 4.4).

    ``flows`` gives those to ping plainly; ``failed`` hears where that failed.
    """

    def __init__(
        self, flows: Callable[[], list[Flow]], failed: Callable[[Flow], object], seconds: float | None
    ) -> None:
        self._flows = flows
        self._failed = failed
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._rng = Random(secrets.randbits(64))  # noqa: S311 - spreads pings, guards nothing
        self._kept: dict[Flow, _Kept] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._plan()

    def keep(self, flow: Flow, flow_timer: int | None) -> None:
        """Keep a flow with outbound from now on; again, to take another Flow-Timer."""
        kept = self._kept.get(flow)
        if kept is not None:
            kept.take_flow_timer(flow_timer)
        elif not flow.closed:
            self._kept[flow] = _Kept(flow, flow_timer, self._rng)
            flow.on_closed.append(self._forget)

    def take(self, flow: Flow, data: bytes) -> bool:
        """Take a datagram that is a keepalive; False: it is none. STUN is answered over UDP, as who gets it must."""
        if not data.strip(_BLANKS):
            return True
        found = None if flow.reliable else read_binding(data)
        if found is None:
            return False
        if found.is_request:
            self._answer(flow, found.transaction)
        elif (kept := self._kept.get(flow)) is not None:
            kept.answered(found.transaction, found.mapped)
        return True

    def close(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()
        for kept in self._kept.values():
            kept.stop()

    def ping_all(self) -> None:
        """Ping plainly."""
        self._plan()
        for flow in self._flows():
            if flow in self._kept:
                continue
            try:
                flow.ping()
            except FlowError as error:
                log.debug("keepalive failed on %s: %s", flow.id, error)
                self._failed(flow)

    def _plan(self) -> None:
        if self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self.ping_all)

    def _answer(self, flow: Flow, transaction: bytes) -> None:
        try:
            flow.send(binding_answer(transaction, flow.remote))
        except FlowError as error:
            log.debug("STUN is not answered on %s: %s", flow.id, error)

    def _forget(self, flow: Flow) -> None:
        kept = self._kept.pop(flow, None)
        if kept is not None:
            kept.stop()
