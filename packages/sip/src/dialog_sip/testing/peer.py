"""A peer that follows the test's script, and nothing else: it retransmits nothing and checks nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import count

from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.testing.wire import MemoryFlow, Wire
from dialog_sip.values import BRANCH_COOKIE, CSeq, NameAddr, Via

SDP = "application/sdp"
"""Media type of descriptions."""


class UnexpectedMessageError(AssertionError):
    """The message that came (RFC 3261 section 7) is not what the script has next."""


class ScriptedPeer:
    """One peer on the wire, without transactions (RFC 3261 section 17). It keeps what came until it is asked for."""

    def __init__(self, name: str, wire: Wire, transport: str = "udp") -> None:
        self.name = name
        self.received: deque[Message] = deque()
        """What came and was not asked for."""
        self.contact = f"sip:{name}@{name}.invalid"
        """URI of its Contact."""
        self._wire = wire
        self._transport = transport
        self._flows: dict[int, MemoryFlow] = {}
        self._kept: list[Message] = []
        self._sent: Message | None = None
        self._tokens = count(1)
        self._cseq = 0
        wire.attach(name, self._receive)

    # What came.

    def expect(self, what: str | int, *, again: bool = False) -> Message:
        """Return the next message, which has to be this method or this code; ``again``: skip what came before.

        Raises :class:`UnexpectedMessageError`.
        """
        while self.received:
            message = self.received.popleft()
            if str(what) == _name(message):
                return message
            if not again:
                raise UnexpectedMessageError(f"{self.name} expected {what}, and {_name(message)} came")
        raise UnexpectedMessageError(f"{self.name} expected {what}, and nothing came")

    def expect_request(self, method: str) -> Request:
        """Return the next message, which has to be a request of this method."""
        message = self.expect(method)
        if not isinstance(message, Request):
            raise UnexpectedMessageError(f"{method} is no request")
        return message

    def expect_response(self, code: int) -> Response:
        """Return the next message, which has to be a response of this code."""
        message = self.expect(code)
        if not isinstance(message, Response):
            raise UnexpectedMessageError(f"{code} is no response")
        return message

    def expect_nothing(self) -> None:
        """Raise :class:`UnexpectedMessageError` where something came."""
        if self.received:
            raise UnexpectedMessageError(f"{self.name} expected nothing, and {_name(self.received[0])} came")

    # What is sent.

    def reply(
        self,
        request: Request,
        code: int,
        *,
        tag: str | None = None,
        sdp: bytes = b"",
        headers: Iterable[tuple[str, HeaderValue]] = (),
        contact: str | None = None,
    ) -> Response:
        """Answer a request; ``tag`` makes it the answer of another phone behind the same proxy."""
        response = request.respond(code, to_tag=tag or f"{self.name}-tag", headers=headers, body=sdp,
                                   content_type=SDP if sdp else None)  # fmt: skip
        if request.method in {"INVITE", "UPDATE", "SUBSCRIBE"} and code > 100 and "Contact" not in response.headers:
            response.headers.add("Contact", f"<{contact or self.contact}>")
        self.send(response, self._flows.get(id(request)))
        return response

    def request(
        self,
        method: str,
        to: str,
        *,
        call_id: str | None = None,
        sdp: bytes = b"",
        headers: Iterable[tuple[str, HeaderValue]] = (),
    ) -> Request:
        """Send a request outside any SIP dialog to the one of this name."""
        self._cseq += 1
        flow = MemoryFlow(self.name, to, self._transport)
        items: list[tuple[str, HeaderValue]] = [
            ("Via", self._via(flow)),
            ("Max-Forwards", 70),
            ("From", NameAddr.make(f"sip:{self.name}@example.com", tag=f"{self.name}-tag")),
            ("To", NameAddr.make(f"sip:{to}@example.com")),
            ("Call-ID", call_id or f"call-{next(self._tokens)}@{self.name}"),
            ("CSeq", CSeq(self._cseq, method)),
            ("Contact", f"<{self.contact}>"),
            *headers,
        ]
        if sdp:
            items.append(("Content-Type", SDP))
        request = Request(method, f"sip:{to}@{to}.invalid", items, sdp)
        self.send(request, flow)
        return request

    def request_within(
        self,
        other: Message,
        method: str,
        *,
        cseq: int | None = None,
        sdp: bytes = b"",
        body: bytes = b"",
        headers: Iterable[tuple[str, HeaderValue]] = (),
    ) -> Request:
        """Send a request in the SIP dialog of a message: a response that came, or a request that was answered.

        An ACK has the number of its INVITE; give other numbers to break the order.
        """
        ours, theirs = (other.from_, other.to) if isinstance(other, Response) else (other.to, other.from_)
        if isinstance(other, Request) and ours.tag is None:
            ours = ours.with_tag(f"{self.name}-tag")
        if cseq is None and method != "ACK":
            self._cseq = max(self._cseq, other.cseq.number if isinstance(other, Response) else 0) + 1
        number = cseq if cseq is not None else (other.cseq.number if method == "ACK" else self._cseq)
        flow = self._flow_of(other)
        items: list[tuple[str, HeaderValue]] = [
            ("Via", self._via(flow)), ("Max-Forwards", 70), ("From", ours), ("To", theirs),
            ("Call-ID", other.call_id), ("CSeq", CSeq(number, method)), ("Contact", f"<{self.contact}>"), *headers,
        ]  # fmt: skip
        if sdp:
            items.append(("Content-Type", SDP))
        target = str(other.contacts[0].uri) if other.contacts else theirs.uri_text
        request = Request(method, target, items, sdp or body)
        self.send(request, flow)
        return request

    def cancel(self, invite: Request) -> Request:
        """Send the CANCEL of an INVITE that :meth:`request` sent."""
        cancel = Request("CANCEL", invite.uri, [("Via", invite.via), ("Max-Forwards", 70)])
        for name in ("From", "To", "Call-ID"):
            cancel.headers.copy_from(invite.headers, name)
        cancel.headers.add("CSeq", CSeq(invite.cseq.number, "CANCEL"))
        self.send(cancel, self._flows[id(invite)])
        return cancel

    def send(self, message: Message, flow: MemoryFlow | None = None) -> None:
        """Send any message, as it is. Raises :class:`KeyError` where it is not known to whom."""
        flow = flow or self._flow_of(message)
        self._flows[id(message)] = flow
        self._kept.append(message)
        self._sent = message
        self._wire.send(flow, message.encode())

    def again(self) -> None:
        """Send the last message again: a retransmission; nothing where none was sent."""
        if self._sent is not None:
            self.send(self._sent)

    def _flow_of(self, message: Message) -> MemoryFlow:
        return self._flows[id(message)]

    def _via(self, flow: MemoryFlow) -> Via:
        branch = f"{BRANCH_COOKIE}{self.name}{next(self._tokens)}"
        return Via(flow.transport.upper(), flow.local[0], 5060, {"branch": branch, "rport": None})

    def _receive(self, data: bytes, flow: MemoryFlow) -> None:
        message = parse_message(data)
        # Held for as long as the peer lives, so that an id names one message.
        self._flows[id(message)] = flow
        self._kept.append(message)
        self.received.append(message)


def _name(message: Message) -> str:
    return message.method if isinstance(message, Request) else str(getattr(message, "code", "?"))
