"""One SIP dialog, in either role (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request, Response
from dialog_sip.sip_dialog.initial import initial_request
from dialog_sip.sip_dialog.machine import TRANSITIONS, DialogEvent, DialogState, event_of
from dialog_sip.sip_dialog.record import DialogRecord
from dialog_sip.sip_dialog.routing import address, route_set_of, target_of
from dialog_sip.values import MediaType, NameAddr

TARGET_REFRESHES = frozenset({"INVITE", "UPDATE"})
"""Requests whose Contact, and that of their 2xx, is a new remote target (RFC 3261 section 12.2, RFC 3311)."""

_UNNUMBERED = frozenset({"ACK", "CANCEL"})
"""They carry the number of the request they belong to (RFC 3261 sections 9.1 and 13.2.2.4)."""
_GONE_CODES = frozenset({408, 481})
_OTHER_USAGES = frozenset({"NOTIFY", "SUBSCRIBE"})
"""Their 408 and 481 end a subscription, not the call (RFC 5057 section 5.1)."""


class SipDialog:
    """A SIP dialog (RFC 3261 section 12).

    With ``ignore_contact`` the remote target is always the remote URI, whatever Contact says.
    """

    def __init__(
        self, record: DialogRecord, state: DialogState, *, ignore_contact: bool = False, is_ours: bool = False
    ) -> None:
        self._record = record
        self._state = state
        self._ignore_contact = ignore_contact
        self.is_ours = is_ours
        """Whether an INVITE of ours made it."""

    @classmethod
    def uac(cls, invite: Request, response: Response, *, ignore_contact: bool = False) -> SipDialog:
        """Return the dialog that a response to our INVITE makes (RFC 3261 section 12.1.2).

        Raises :class:`RemoteProtocolError` for a response whose headers cannot be read.
        """
        local_tag = invite.from_.tag
        if local_tag is None:
            raise LocalProtocolError("an INVITE of ours has a From tag")
        record = DialogRecord(
            call_id=invite.call_id,
            local_tag=local_tag,
            remote_tag=response.to.tag,
            local_uri=invite.from_.uri_text,
            remote_uri=invite.to.uri_text,
            remote_target=target_of(response),
            route_set=route_set_of(response)[::-1],
            local_cseq=max(invite.cseq.number, response.cseq.number),
        )
        dialog = cls(record, DialogState.EARLY, ignore_contact=ignore_contact, is_ours=True)
        dialog.apply(event_of(response.code))
        return dialog

    @classmethod
    def uas(cls, invite: Request, local_tag: str, *, ignore_contact: bool = False) -> SipDialog:
        """Return the dialog that an INVITE which came makes once it is answered (RFC 3261 section 12.1.1).

        Raises :class:`RemoteProtocolError`, with the status to answer, where a header is missing or cannot be read.
        """
        target = target_of(invite)
        if target is None and not ignore_contact:
            raise RemoteProtocolError("INVITE without a usable Contact", reason="Missing Contact", request=invite)
        record = DialogRecord(
            call_id=invite.call_id,
            local_tag=local_tag,
            remote_tag=invite.from_.tag,
            local_uri=invite.to.uri_text,
            remote_uri=invite.from_.uri_text,
            remote_target=target,
            route_set=route_set_of(invite),
            remote_cseq=invite.cseq.number,
        )
        return cls(record, DialogState.EARLY, ignore_contact=ignore_contact)

    @property
    def record(self) -> DialogRecord:
        """All that another process needs to go on; give it to the constructor there."""
        return self._record

    @property
    def state(self) -> DialogState:
        """Where the dialog stands."""
        return self._state

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self._record.call_id

    @property
    def local_tag(self) -> str:
        """Our tag."""
        return self._record.local_tag

    @property
    def remote_tag(self) -> str | None:
        """The peer's tag; None for one of RFC 2543."""
        return self._record.remote_tag

    @property
    def is_early(self) -> bool:
        """Whether no 2xx came or went yet."""
        return self._state is DialogState.EARLY

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._state is DialogState.TERMINATED

    @property
    def target(self) -> str:
        """The URI that requests in the dialog are for."""
        if self._ignore_contact or self._record.remote_target is None:
            return self._record.remote_uri
        return self._record.remote_target

    def matches(self, message: Message) -> bool:
        """Tell whether a message that came belongs here (RFC 3261 section 12.2.2). Raises as its accessors do."""
        ours, theirs = (message.to, message.from_) if isinstance(message, Request) else (message.from_, message.to)
        record = self._record
        return (message.call_id, ours.tag, theirs.tag) == (record.call_id, record.local_tag, record.remote_tag)

    def apply(self, event: DialogEvent) -> DialogState:
        """Move on, and return the new state."""
        self._state = TRANSITIONS[self._state, event]
        return self._state

    def request(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: MediaType | str | None = None,
    ) -> Request:
        """Build the next request; a BYE ends the dialog. Raises :class:`LocalProtocolError` after the end."""
        if method in _UNNUMBERED:
            raise LocalProtocolError(f"{method} is not built here")
        if self._state is DialogState.TERMINATED:
            raise LocalProtocolError(f"{method} in a SIP dialog that has ended")
        self._record = replace(self._record, local_cseq=self._record.local_cseq + 1)
        if method == "BYE":
            self.apply(DialogEvent.BYE)
        return self._build(method, self._record.local_cseq, headers, body, content_type)

    def ack(
        self,
        cseq: int,
        *,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: MediaType | str | None = None,
    ) -> Request:
        """Build the ACK for a 2xx of this CSeq (RFC 3261 section 13.2.2.4); also after the end, which it may cross."""
        return self._build("ACK", cseq, headers, body, content_type)

    def respond(
        self,
        request: Request,
        code: int,
        phrase: str | None = None,
        *,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: MediaType | str | None = None,
    ) -> Response:
        """Build our response to a request of this dialog; one to an INVITE moves it on."""
        if request.method == "INVITE" and code > 100:
            self.apply(event_of(code))
        return request.respond(
            code,
            phrase,
            to_tag=self._record.local_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )

    def receive(self, request: Request) -> None:
        """Take a request that came in the dialog: its number, its Contact, its end (RFC 3261 section 12.2.2).

        Raises :class:`RemoteProtocolError` with what to answer: 481 where it belongs elsewhere or comes after the end,
        500 where its CSeq is below one that came before.
        """
        if not self.matches(request) or (self._state is DialogState.TERMINATED and request.method not in _UNNUMBERED):
            raise RemoteProtocolError(
                "no such SIP dialog", status=481, reason="Call/Transaction Does Not Exist", request=request
            )
        if request.method not in _UNNUMBERED:
            self._take_number(request)
        if request.method in TARGET_REFRESHES:
            self._refresh_target(request)
        if request.method == "BYE":
            self.apply(DialogEvent.BYE)

    def receive_response(self, response: Response) -> None:
        """Take a response to a request of ours in the dialog (RFC 3261 section 12.2.1.2).

        Its CSeq counts as ours: credentials may have been added, with a number one higher, on the way. A 2xx brings the
        Contact up to date; the first one also the route set (section 13.2.2.4). 408 and 481 end the dialog.
        """
        number, method = response.cseq
        first = self._state is DialogState.EARLY and method == "INVITE" and response.is_success
        if first:
            self._record = replace(self._record, remote_tag=response.to.tag, route_set=route_set_of(response)[::-1])
        self._record = replace(self._record, local_cseq=max(self._record.local_cseq, number))
        if method in TARGET_REFRESHES and not (response.is_final and not response.is_success):
            self._refresh_target(response)
        if method == "INVITE" and response.code > 100:
            self.apply(event_of(response.code))
        if response.code in _GONE_CODES and method not in _OTHER_USAGES:
            self.apply(DialogEvent.GONE)

    def _take_number(self, request: Request) -> None:
        number, last = request.cseq.number, self._record.remote_cseq
        if last is not None and number < last:
            raise RemoteProtocolError("CSeq went back", status=500, reason="Server Internal Error", request=request)
        self._record = replace(self._record, remote_cseq=number)

    def _refresh_target(self, message: Message) -> None:
        target = target_of(message)
        if target is not None:
            self._record = replace(self._record, remote_target=target)

    def _build(
        self,
        method: str,
        cseq: int,
        headers: Iterable[tuple[str, HeaderValue]],
        body: bytes,
        content_type: MediaType | str | None,
    ) -> Request:
        uri, routes = address(self._record.route_set, self.target)
        return initial_request(
            method,
            uri,
            from_=NameAddr.make(self._record.local_uri, tag=self._record.local_tag),
            to=NameAddr.make(self._record.remote_uri, tag=self._record.remote_tag),
            call_id=self._record.call_id,
            cseq=cseq,
            headers=[*(("Route", route) for route in routes), *headers],
            body=body,
            content_type=content_type,
        )
