"""The ends of a transaction as the application holds them (RFC 3261 section 17): a request of ours, and a peer's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from dialog_sip.aio.flow import Flow
from dialog_sip.errors import SipError
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request, Response
from dialog_sip.transactions import Failure
from dialog_sip.values import MediaType

__all__ = ["BACKLOG", "Actions", "ClientRequest", "Failure", "RequestFailedError", "ServerRequest"]

BACKLOG = 64
"""Responses that wait for a reader; of more the oldest are dropped, which are provisional ones."""


class RequestFailedError(SipError):
    """A request got no final response (RFC 3261 section 8.1.3.1)."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"no final response: {failure.value}")
        self.failure = failure


class Actions(Protocol):
    """What an exchange asks of its endpoint (RFC 3261 section 17)."""

    def cancel(self, client: ClientRequest) -> bool:
        """Cancel an INVITE."""

    def respond(self, server: ServerRequest, response: Response) -> None:
        """Answer a request."""


class ClientRequest:
    """A request of ours on its way (RFC 3261 section 17.1).

    Read its responses with callbacks, with :meth:`final` or with :meth:`responses`.
    """

    __slots__ = (
        "_actions",
        "_backlog",
        "_waiters",
        "failure",
        "flow",
        "id",
        "last",
        "on_failure",
        "on_response",
        "request",
    )

    def __init__(self, request: Request, flow: Flow, actions: Actions) -> None:
        self.id = ""
        """Name of the transaction, opaque and unique in the whole system."""
        self.request = request
        self.flow = flow
        self.on_response: Callable[[Response], object] | None = None
        """Called for each response: provisional ones, the final one, and each 2xx of a forked INVITE."""
        self.on_failure: Callable[[Failure], object] | None = None
        """Called where no final response will come; nothing after it."""
        self.last: Response | None = None
        """The last response."""
        self.failure: Failure | None = None
        """Why no final response will come."""
        self._actions = actions
        self._backlog: deque[Response] = deque(maxlen=BACKLOG)
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def is_over(self) -> bool:
        """True once there is a final response or a failure."""
        return self.failure is not None or (self.last is not None and self.last.is_final)

    def cancel(self) -> bool:
        """CANCEL an INVITE, as soon as that may be done (RFC 3261 section 9.1). False: it was over before."""
        return self._actions.cancel(self)

    async def final(self) -> Response:
        """Wait for the final response; the transaction's timers bound it. Raises :class:`RequestFailedError`."""
        while not self.is_over:
            await self._news()
        if self.last is None or not self.last.is_final:
            raise RequestFailedError(self.failure or Failure.TRANSPORT)
        return self.last

    async def responses(self) -> AsyncIterator[Response]:
        """Iterate over the responses up to the final one. Raises :class:`RequestFailedError`. For one reader."""
        while True:
            while self._backlog:
                response = self._backlog.popleft()
                yield response
                if response.is_final:
                    return
            if self.failure is not None:
                raise RequestFailedError(self.failure)
            await self._news()

    def take(self, response: Response) -> None:
        """Note a response (called by the endpoint)."""
        self.last = response
        self._backlog.append(response)
        self._wake()
        if self.on_response is not None:
            self.on_response(response)

    def fail(self, failure: Failure) -> None:
        """Note that no final response will come (called by the endpoint)."""
        if self.is_over:
            return
        self.failure = failure
        self._wake()
        if self.on_failure is not None:
            self.on_failure(failure)

    async def _news(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class ServerRequest:
    """A request of a peer's (RFC 3261 section 17.2). Set the callbacks before the handler that was given it returns."""

    __slots__ = ("_actions", "final", "flow", "id", "on_ack", "on_ack_timeout", "on_cancel", "on_end", "request")

    def __init__(self, name: str, request: Request, flow: Flow, actions: Actions) -> None:
        self.id = name
        """Name of the transaction, opaque and unique in the whole system."""
        self.request = request
        self.flow = flow
        self.final: Response | None = None
        """Our final response, once it was sent."""
        self.on_cancel: Callable[[Request], object] | None = None
        """Called with the CANCEL, which is answered already; answer the INVITE with 487. None: that is done."""
        self.on_ack: Callable[[Request], object] | None = None
        """Called with the first ACK for our 2xx."""
        self.on_ack_timeout: Callable[[], object] | None = None
        """Called where our 2xx was never ACKed; send BYE (RFC 3261 section 13.3.1.4)."""
        self.on_end: Callable[[], object] | None = None
        """Called when the transaction is over; nothing after it."""
        self._actions = actions

    def send(self, response: Response) -> None:
        """Answer. Raises :class:`LocalProtocolError` after a final response, or where the transaction is over."""
        self._actions.respond(self, response)

    def respond(
        self,
        code: int,
        phrase: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: MediaType | str | None = None,
    ) -> Response:
        """Build an answer as :meth:`Request.respond` does, send it and return it."""
        response = self.request.respond(
            code, phrase, to_tag=to_tag, headers=headers, body=body, content_type=content_type
        )
        self.send(response)
        return response
