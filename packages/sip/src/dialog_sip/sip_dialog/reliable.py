"""Reliable provisional responses (RFC 3262), both roles.

Theory of operation. A provisional response that asks for ``100rel`` is sent again, T1 after it was sent and then twice
as long each time, on any transport, until its PRACK comes or 64*T1 have passed; then the INVITE is to be refused with a
5xx. Only one is on its way at a time, so that they arrive in order; what is sent meanwhile waits, within a bound. The
final response ends all that, but a PRACK that was already on its way is still answered. A 2xx waits for the PRACK of a
response that held SDP: its answer would otherwise come before the offer it answers (section 3).

The caller's side is a number for each early SIP dialog: the next RSeq has to be one higher. One that is lower or equal
is a retransmission and has had its PRACK; a higher one means that one was lost, which will come again.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, StrEnum, auto
from typing import Final, NamedTuple

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.rack import MAX_FIRST_RSEQ, MAX_RSEQ, TAG, RAck, rack_of, rseq_of
from dialog_sip.message import Request, Response

T1 = 0.5
"""Seconds (RFC 3261 table 4)."""
GIVE_UP_AFTER = 64
"""In units of T1."""
MAX_WAITING = 16
"""Provisional responses that wait for the PRACK of another one."""
MAX_BRANCHES = 32
"""Early SIP dialogs whose numbers are kept."""


class ReliableState(StrEnum):
    """Where the callee's side stands (RFC 3262 section 3)."""

    IDLE = "idle"
    WAITING = "waiting"
    """For a PRACK."""
    FINISHED = "finished"
    """The final response was sent; a late PRACK is still answered."""
    FAILED = "failed"
    """No PRACK came in time."""


class ReliableEvent(StrEnum):
    """What moves it (RFC 3262 section 3)."""

    SEND = "send"
    PRACK = "prack"
    RETRANSMIT = "retransmit"
    DEADLINE = "deadline"
    FINAL = "final"


class Action(Enum):
    """What goes with a transition (RFC 3262 section 3)."""

    TRANSMIT = auto()
    ARM = auto()
    AGAIN = auto()
    """Twice the interval from now."""
    HOLD = auto()
    """Keep the response until its turn comes."""
    DISARM = auto()
    NEXT = auto()
    """Send what waits."""


_S, _E, _A = ReliableState, ReliableEvent, Action

TRANSITIONS: Final = {
    (_S.IDLE, _E.SEND): (_S.WAITING, (_A.TRANSMIT, _A.ARM)),
    (_S.IDLE, _E.FINAL): (_S.FINISHED, ()),
    (_S.WAITING, _E.SEND): (_S.WAITING, (_A.HOLD,)),
    (_S.WAITING, _E.PRACK): (_S.IDLE, (_A.DISARM, _A.NEXT)),
    (_S.WAITING, _E.RETRANSMIT): (_S.WAITING, (_A.TRANSMIT, _A.AGAIN)),
    (_S.WAITING, _E.DEADLINE): (_S.FAILED, (_A.DISARM,)),
    (_S.WAITING, _E.FINAL): (_S.FINISHED, (_A.DISARM,)),
    (_S.FINISHED, _E.PRACK): (_S.FINISHED, ()),
    (_S.FINISHED, _E.FINAL): (_S.FINISHED, ()),
    (_S.FAILED, _E.FINAL): (_S.FINISHED, ()),
}
"""What is missing is an error of ours (SEND), or has no PRACK to match (``receive`` answers it with 481)."""


class ReliableResponses:
    """The callee's side of one INVITE (RFC 3262 section 3).

    ``first`` is the first RSeq, random in principle; times are seconds.
    """

    def __init__(self, invite: Request, *, first: int = 1, t1: float = T1) -> None:
        if not 1 <= first <= MAX_FIRST_RSEQ:
            raise LocalProtocolError("the first RSeq is from 1 to 2**31 - 1")
        self._cseq, self._method = invite.cseq
        self._t1 = t1
        self._state = ReliableState.IDLE
        self._rseq = first - 1
        self._current: Response | None = None
        self._waiting: deque[Response] = deque()
        self._interval = 0.0
        self._retransmit_at: float | None = None
        self._deadline = 0.0
        self._transmits: list[Response] = []

    @property
    def state(self) -> ReliableState:
        """Where it stands."""
        return self._state

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        return None if self._retransmit_at is None else min(self._retransmit_at, self._deadline)

    @property
    def holds_success(self) -> bool:
        """Whether a 2xx has to wait: a response with SDP has no PRACK yet (RFC 3262 section 3)."""
        waits = [self._current, *self._waiting] if self._state is ReliableState.WAITING else []
        return any(response is not None and response.body for response in waits)

    def send(self, response: Response, now: float) -> None:
        """Take a provisional response (101 to 199): number it, and send it or let it wait.

        Raises :class:`LocalProtocolError` after the end, or where too many wait.
        """
        if not 100 < response.code < 200:
            raise LocalProtocolError("only 101 to 199 are sent reliably")
        if len(self._waiting) >= MAX_WAITING:
            raise LocalProtocolError("too many provisional responses wait for a PRACK")
        self._apply(ReliableEvent.SEND, now, response)

    def receive(self, prack: Request, now: float) -> Response | None:
        """Take a PRACK: return the response that it acknowledges; None where it comes after the end.

        Raises :class:`RemoteProtocolError`: 481 where nothing of that number waits, 400 where it cannot be read.
        """
        rack = rack_of(prack)
        current = self._current
        if current is None or rack != RAck(self._rseq, self._cseq, self._method):
            raise RemoteProtocolError(
                "PRACK for no response that waits", status=481, reason="Call/Transaction Does Not Exist", request=prack
            )
        acknowledged = current if self._state is ReliableState.WAITING else None
        self._current = None
        self._apply(ReliableEvent.PRACK, now)
        return acknowledged

    def finish(self, now: float) -> None:
        """Note that the final response is sent: nothing is sent again, and what waits is dropped."""
        self._waiting.clear()
        self._apply(ReliableEvent.FINAL, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due. In the state ``FAILED`` after it, refuse the INVITE with 504 or another 5xx."""
        if self._retransmit_at is None:
            return
        if now >= self._deadline:
            self._apply(ReliableEvent.DEADLINE, now)
        elif now >= self._retransmit_at:
            self._apply(ReliableEvent.RETRANSMIT, now)

    def take_transmits(self) -> list[Response]:
        """Return and forget what is to be sent as a provisional response of the INVITE's transaction."""
        taken, self._transmits = self._transmits, []
        return taken

    def _apply(self, event: ReliableEvent, now: float, response: Response | None = None) -> None:
        row = TRANSITIONS.get((self._state, event))
        if row is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state, actions = row
        for action in actions:
            self._do(action, now, response)

    def _do(self, action: Action, now: float, response: Response | None) -> None:
        match action:
            case Action.TRANSMIT:
                self._transmit(response)
            case Action.ARM:
                self._interval = self._t1
                self._retransmit_at, self._deadline = now + self._t1, now + GIVE_UP_AFTER * self._t1
            case Action.AGAIN:
                self._interval *= 2
                self._retransmit_at = now + self._interval
            case Action.HOLD if response is not None:
                self._waiting.append(response)
            case Action.DISARM:
                self._retransmit_at = None
            case Action.NEXT if self._waiting:
                self._apply(ReliableEvent.SEND, now, self._waiting.popleft())

    def _transmit(self, response: Response | None) -> None:
        if response is not None:
            self._rseq = self._rseq + 1 if self._rseq < MAX_RSEQ else 1
            response.headers.set("Require", TAG)
            response.headers.set("RSeq", self._rseq)
            self._current = response
        if self._current is not None:
            self._transmits.append(self._current)


class Received(NamedTuple):
    """What a provisional response is to the caller (RFC 3262 section 4)."""

    is_new: bool
    """False: it came before, or out of order, and means nothing now."""
    rack: RAck | None = None
    """To be sent in a PRACK, in the SIP dialog that the response makes."""


class ReliableReceiver:
    """The caller's side of one INVITE, over all its early SIP dialogs (RFC 3262 section 4)."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def receive(self, response: Response) -> Received:
        """Take a provisional response. Raises :class:`RemoteProtocolError` where it cannot be read."""
        rseq = rseq_of(response)
        if rseq is None:
            return Received(is_new=True)
        tag = response.to.tag or ""
        last = self._last.get(tag)
        if (last is not None and rseq != last + 1) or (last is None and len(self._last) >= MAX_BRANCHES):
            return Received(is_new=False)
        self._last[tag] = rseq
        return Received(is_new=True, rack=RAck(rseq, *response.cseq))
