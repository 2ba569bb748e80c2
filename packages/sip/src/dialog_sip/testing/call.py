"""One call of a test's user agent: what is asked of its machine, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dialog_sip.message import Request
from dialog_sip.sip_dialog import IncomingInvite, OutgoingInvite, Output, SipSession


class Agent(Protocol):
    """Who has the call: a user agent (RFC 3261 section 8)."""

    def flush(self, call: Call) -> None:
        """Do what the call wants to be done."""


class Call:
    """A call of a user agent (RFC 3261 section 13).

    Call the methods of :attr:`machine` or :attr:`session`, then :meth:`flush`.
    """

    def __init__(self, agent: Agent, machine: OutgoingInvite | IncomingInvite, peer: str) -> None:
        self.machine = machine
        self.peer = peer
        """Name of the one at the other end of the wire."""
        self.events: list[Output] = []
        """What happened: all outputs but those that are sent."""
        self._agent = agent

    @property
    def session(self) -> SipSession:
        """The session, or the first branch while none has won. Raises :class:`AssertionError` before there is one."""
        session = self.machine.session
        if session is None and isinstance(self.machine, OutgoingInvite):
            session = next(iter(self.machine.sessions), None)
        if session is None:
            raise AssertionError("nobody has answered yet")
        return session

    def do(self, what: Callable[..., object], *args: object, **options: object) -> None:
        """Call a method of the machine or its session, and send what comes of it."""
        what(*args, **options)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        self._agent.flush(self)

    def take(self) -> list[Output]:
        """Return and forget what happened."""
        taken, self.events = self.events, []
        return taken

    def session_of(self, request: Request) -> SipSession | None:
        """Return the session that a request of a peer's is for."""
        machine = self.machine
        if isinstance(machine, OutgoingInvite):
            return machine.find(request)
        return machine.session if machine.session.dialog.matches(request) else None

    def receive(self, request: Request, now: float) -> None:
        """Take a request of a peer's."""
        if isinstance(self.machine, IncomingInvite):
            self.machine.receive_request(request, now)
            return
        session = self.machine.find(request)
        if session is not None:
            session.receive_request(request, now)
