"""The extensions of SIP that a leg speaks: session timers (RFC 4028) and reliable provisional responses (RFC 3262).

The tables are the library's. This puts what they say into the headers of the leg's messages, and tells what is due. Of
provisional responses only those to an INVITE that requires it are made reliable: it costs a PRACK each.
"""

from __future__ import annotations

from dialog_sip import RemoteProtocolError, Request, Response
from dialog_sip.fields.rack import RAck
from dialog_sip.headers import HeaderValue
from dialog_sip.sip_dialog import ReliableReceiver, ReliableResponses, SessionTimer, SessionTimerSettings
from dialog_sip.sip_dialog.reliable import ReliableState
from dialog_sip.sip_dialog.session_timer import TimerState

from dialog_bridge.model.inputs import Kind, Signal

SUPPORTED = ("100rel", "timer")
"""Option tags."""

HeaderList = list[tuple[str, HeaderValue]]


class Extensions:
    """Those of one leg. Times are seconds of a monotonic clock."""

    def __init__(self, timer: SessionTimerSettings) -> None:
        self._session = SessionTimer(timer)
        self._theirs = ReliableReceiver()
        self._ours: ReliableResponses | None = None

    # Requests of ours.

    def request_headers(self) -> HeaderList:
        """Return the headers of an INVITE of ours."""
        return [("Supported", ", ".join(SUPPORTED)), *self._session.request_headers()]

    def accepted(self, response: Response, now: float) -> None:
        """Take the 2xx to an INVITE of ours. An interval that cannot be read is none."""
        try:
            self._session.receive_response(response, now)
        except RemoteProtocolError:
            response.headers.remove("Session-Expires")
            self._session.receive_response(response, now)

    def ringing(self, response: Response) -> tuple[bool, RAck | None]:
        """Take a provisional response: whether it is new, and what its PRACK says, if it wants one.

        Raises :class:`RemoteProtocolError` for one that cannot be read.
        """
        return self._theirs.receive(response)

    # Requests of the PBX.

    def check(self, request: Request) -> None:
        """Raise :class:`RemoteProtocolError`: 420 for an unknown extension, 422 for too short an interval."""
        unknown = [tag for tag in request.headers.get_list("Require") if tag.lower() not in SUPPORTED]
        if unknown:
            raise _refusal(request, 420, "Bad Extension", ("Unsupported", ", ".join(unknown)))
        too_short = self._session.refusal(request)
        if too_short is not None:
            raise _refusal(request, 422, "Session Interval Too Small", *too_short)

    def answer_headers(self, request: Request, now: float) -> HeaderList:
        """Return the headers of a 2xx of ours to an INVITE or UPDATE; the interval begins."""
        return [("Supported", ", ".join(SUPPORTED)), *self._session.answer_headers(request, now)]

    def requires_prack(self, invite: Request) -> bool:
        """Tell whether provisional responses have to be reliable."""
        return invite.headers.has_token("Require", "100rel")

    def ring(self, invite: Request, response: Response, now: float) -> list[Response]:
        """Return what is to be sent for a provisional response that has to be reliable."""
        self._ours = self._ours or ReliableResponses(invite)
        if self._ours.state in {ReliableState.IDLE, ReliableState.WAITING}:
            self._ours.send(response, now)
        return self._ours.take_transmits()

    def prack(self, request: Request, now: float) -> None:
        """Take a PRACK. Raises :class:`RemoteProtocolError` where there is nothing that it acknowledges."""
        if self._ours is None:
            raise _refusal(request, 481, "Call/Transaction Does Not Exist")
        self._ours.receive(request, now)

    def answered(self, now: float) -> None:
        """Note our final response: nothing provisional is sent again."""
        if self._ours is not None:
            self._ours.finish(now)

    # Time.

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        times = (self._session.timer, None if self._ours is None else self._ours.timer)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> tuple[list[Signal], list[Response]]:
        """Return what is due: what the call has to hear of, and provisional responses to be sent again."""
        signals = []
        before, after = self._session.state, self._session.handle_timer(now)
        if after is not before and after in _DUE:
            signals.append(Signal(_DUE[after]))
        if self._ours is None:
            return signals, []
        self._ours.handle_timer(now)
        if self._ours.state is ReliableState.FAILED:
            self._ours.finish(now)
            signals.append(Signal(Kind.ACK_TIMEOUT))
        return signals, self._ours.take_transmits()


_DUE = {TimerState.REFRESHING: Kind.REFRESH, TimerState.EXPIRED: Kind.SESSION_EXPIRED}


def _refusal(request: Request, status: int, reason: str, *headers: tuple[str, str]) -> RemoteProtocolError:
    return RemoteProtocolError(reason, status=status, reason=reason, request=request, headers=headers)
