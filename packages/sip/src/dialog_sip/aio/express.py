"""The express lane of an endpoint: REGISTERs (RFC 3261 section 10) for a fraction of a full transaction.

It shares the endpoint's flows and trace. What it sends it knows again by its branch, before the answer is parsed; all
else goes its usual way. See :mod:`dialog_sip.transactions.express` for the transaction itself.

Who sends may lose the right to while a request is on its way: a process that was stopped wakes up with timers that
are long due. It reads what was answered meanwhile before anything is sent again, and then asks for each request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, Protocol

from dialog_sip.aio.endpoint import Endpoint
from dialog_sip.aio.flow import Flow, FlowError
from dialog_sip.aio.trace import Direction, Trace
from dialog_sip.digest import mask_credentials
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Response
from dialog_sip.parser import parse_message
from dialog_sip.registration import Register
from dialog_sip.transactions import Failure
from dialog_sip.transactions.echo import check_echo
from dialog_sip.transactions.express import ExpressTransactions, Pending
from dialog_sip.transactions.timers import Timers

log = logging.getLogger(__name__)

P = ParamSpec("P")

TIMER_GRAIN = 0.05
"""Seconds at least between two looks at retransmissions: one look serves all of that time."""
SLEPT = 1.0
"""Seconds that a look comes late, after which the process must have been stopped."""


class Sender(Protocol):
    """Whoever sent a REGISTER (RFC 3261 section 10.2). Of the first two one is called, once, from the event loop."""

    def received(self, response: Response) -> object:
        """Take the final response."""

    def failed(self, failure: Failure) -> object:
        """Learn that none will come."""

    def may_repeat(self) -> bool:
        """Tell whether it may be sent again now; asked before each retransmission, while it is false there is none."""


_Sent = Pending[Flow, tuple[Sender, int]]
"""A REGISTER on its way; with its sender, how often its flow had been heard before."""


class ExpressRequest:
    """A REGISTER on its way (RFC 3261 section 10.2)."""

    __slots__ = ("_lane", "_pending")

    def __init__(self, lane: ExpressLane, pending: _Sent) -> None:
        self._lane = lane
        self._pending = pending

    def hush(self) -> None:
        """Send it no more; its answer is still taken."""
        self._lane.hush(self._pending)

    def cancel(self) -> None:
        """Send it no more; no callback comes, whatever is answered. A REGISTER has no CANCEL (RFC 3261 section 9.1)."""
        self._lane.abandon(self._pending)


class ExpressLane:
    """Sends REGISTERs (RFC 3261 section 10.2) on flows of ``endpoint``; made once for it, and ended with it.

    ``on_unheard`` is called with a flow on which nothing at all came from when a REGISTER went out to when it failed
    or was hushed.
    """

    def __init__(
        self, endpoint: Endpoint, timers: Timers | None = None, on_unheard: Callable[[Flow], object] | None = None
    ) -> None:
        self._endpoint = endpoint
        self._on_unheard = on_unheard
        self._transactions: ExpressTransactions[Flow, tuple[Sender, int]] = ExpressTransactions(timers)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._vias: dict[Flow, str] = {}
        endpoint.lane = self

    def __len__(self) -> int:
        return len(self._transactions)

    def send(self, register: Register, flow: Flow, sender: Sender) -> ExpressRequest:
        """Send a REGISTER; its Via is put into it. Raises :class:`FlowError` where the flow is closed or refuses it."""
        branch = self._transactions.new_branch()
        data = register.encode(self._via(flow) + branch)
        self._transmit(flow, data)
        owner = sender, flow.heard
        pending = self._transactions.begin(branch, data, flow, owner, self._loop.time(), reliable=flow.reliable)
        if self._timer is None:
            self._plan_timer()
        return ExpressRequest(self, pending)

    def hush(self, pending: _Sent) -> None:
        """Send a request no more (called by :meth:`ExpressRequest.hush`)."""
        self._transactions.hush(pending)
        self._tell_unheard(pending)

    def abandon(self, pending: _Sent) -> None:
        """Forget a request (called by :meth:`ExpressRequest.cancel`)."""
        self._transactions.end(pending)

    def take(self, data: bytes) -> bool:
        """Take a message if it is the answer to one of ours (called by the endpoint)."""
        if not data.startswith(b"SIP/2.0 "):
            return False
        pending = self._transactions.find(data)
        if pending is None:
            return False
        try:
            response = parse_message(data)
            if isinstance(response, Response):
                check_echo(response, data, pending.data)
        except RemoteProtocolError as error:
            self._endpoint.malformed += 1
            log.debug("malformed answer on %s: %s", pending.flow.id, error)
            return True
        if isinstance(response, Response) and response.is_final:
            self._transactions.end(pending)
            _run(pending.owner[0].received, response)
        else:
            self._transactions.provisional(pending, self._loop.time())
        return True

    def flow_failed(self, flow: Flow) -> None:
        """Fail what is under way on a flow (called by the endpoint)."""
        if flow.closed:
            self._vias.pop(flow, None)
        for pending in self._transactions.on(flow):
            self._fail(pending, Failure.TRANSPORT)

    def close(self) -> None:
        """Take no more looks at timers (called by the endpoint, once its flows are closed)."""
        if self._timer is not None:
            self._timer.cancel()

    def _fail(self, pending: _Sent, failure: Failure) -> None:
        self._transactions.end(pending)
        self._tell_unheard(pending)
        _run(pending.owner[0].failed, failure)

    def _tell_unheard(self, pending: _Sent) -> None:
        if self._on_unheard is not None and pending.flow.heard == pending.owner[1]:
            _run(self._on_unheard, pending.flow)

    def _via(self, flow: Flow) -> str:
        """Return the Via of a flow up to its branch."""
        via = self._vias.get(flow)
        if via is None:
            host, port = flow.local
            host = f"[{host}]" if ":" in host else host
            via = self._vias[flow] = f"SIP/2.0/{flow.transport.upper()} {host}:{port};rport;branch="
        return via

    def _transmit(self, flow: Flow, data: bytes) -> None:
        flow.send(data)
        if self._endpoint.trace is not None:
            _run(self._endpoint.trace, Trace(self._loop.time(), Direction.SENT, flow, mask_credentials(data)))

    def _plan_timer(self) -> None:
        due = self._transactions.next()
        self._timer = None
        if due is not None:
            self._look_at(max(due, self._loop.time() + TIMER_GRAIN))

    def _look_at(self, due: float) -> None:
        self._due = due
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        if now - self._due > SLEPT:
            self._look_at(now + TIMER_GRAIN)
            return
        while (pending := self._transactions.pop(now)) is not None:
            if pending.over:
                self._fail(pending, Failure.TIMEOUT)
                continue
            if not pending.owner[0].may_repeat():
                continue
            try:
                self._transmit(pending.flow, pending.data)
            except FlowError as error:
                log.debug("cannot send again: %s", error)
                self._fail(pending, Failure.TRANSPORT)
        self._plan_timer()


def _run(callback: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a callback of the application's."""
    try:
        callback(*args, **kwargs)
    except Exception:
        log.exception("a callback raised; only its own message suffers")
