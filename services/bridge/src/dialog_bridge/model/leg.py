"""The bridge's end of a call's SIP dialog: turns actions into messages, and messages into inputs.

Pure. What it returns are parcels, relayed messages with an address; Via, Contact and credentials are the registrar's to
add (``docs/architecture.md``, "Who does what to a SIP message").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dialog_schemas.instances import SipDialogRecord
from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import NameAddr, RemoteProtocolError, Request, Response, SipUri, parse_message
from dialog_sip.headers import HeaderValue
from dialog_sip.sip_dialog import (
    DialogRecord,
    DialogSet,
    DialogState,
    SipDialog,
    initial_request,
)
from dialog_sip.sip_dialog.sip_dialog import TARGET_REFRESHES

from dialog_bridge.model import bodies, replies
from dialog_bridge.model.actions import (
    Respond,
    SendAck,
    SendBye,
    SendCancel,
    SendInvite,
    SendRefer,
    SendReinvite,
    SipAction,
)
from dialog_bridge.model.extensions import Extensions
from dialog_bridge.model.inputs import Kind, Signal
from dialog_bridge.model.parcels import NOTHING, Heard, LegSettings, Names, Parcel
from dialog_bridge.model.records import invite_of, record_of, record_of_invite

SDP = "application/sdp"

MAX_OPEN = 16
"""Requests of the PBX that wait for an answer of ours at a time. A peer with more than that has lost its mind."""

CSEQ_GAP = 1000
"""How far above the recorded CSeq an adopted SIP dialog goes on: the dead bridge may have sent more than it recorded,
and a number that is not above its last one is refused (RFC 3261 section 12.2.2)."""


@dataclass(slots=True)
class SipLeg:
    """One leg. Make it with :meth:`outgoing`, :meth:`incoming` or :meth:`adopted`."""

    names: Names
    invite_transaction: str = ""
    """The relay transaction of the first INVITE."""
    registrar: str | None = None
    """Who has that transaction."""
    _invite: Request | None = None
    _forks: DialogSet | None = None
    _dialog: SipDialog | None = None
    _sent: dict[str, str] = field(default_factory=dict)
    """Our requests that wait for a final response: transaction -> method."""
    _open: dict[str, tuple[Request, str | None]] = field(default_factory=dict)
    """The PBX's that wait for ours: transaction -> request, registrar that has it."""
    _cseqs: dict[str, int] = field(default_factory=dict)
    """CSeq of the last 2xx to an INVITE: branch -> number."""
    _awaits_answer: bool = False
    """Our last 2xx made an offer."""
    _count: int = 0
    _settings: LegSettings = field(default_factory=LegSettings)
    _extensions: Extensions = field(init=False)

    def __post_init__(self) -> None:
        """Have the extensions as the settings say."""
        self._extensions = Extensions(self._settings.timer)

    @classmethod
    def outgoing(cls, names: Names, from_: SipUri, to: SipUri, *, token: str, settings: LegSettings) -> SipLeg:
        """Return the leg of a call to ``to``. ``token`` is unguessable: it names the SIP dialog (RFC 3261 19.3)."""
        invite = initial_request(
            "INVITE",
            to,
            from_=NameAddr.make(from_, tag=token[:16]),
            to=NameAddr.make(to),
            call_id=token,
        )
        leg = cls(names, _invite=invite, _settings=settings)
        leg.invite_transaction = leg._next_transaction()
        return leg

    @classmethod
    def incoming(cls, names: Names, invite: Request, relay: Relay, *, token: str, settings: LegSettings) -> SipLeg:
        """Return the leg of an INVITE that came. Raises :class:`RemoteProtocolError` with what to answer."""
        dialog = SipDialog.uas(invite, token[:16], ignore_contact=settings.ignore_contact)
        leg = cls(names, relay.transaction, relay.sender, invite, None, dialog, _settings=settings)
        leg._extensions.check(invite)
        leg._open[relay.transaction] = (invite, relay.sender)
        return leg

    @classmethod
    def adopted(
        cls, names: Names, record: SipDialogRecord, transaction: str | None, *, settings: LegSettings
    ) -> SipLeg:
        """Return the leg of a SIP dialog that a dead bridge left, to end it.

        ``transaction`` is that of its INVITE, as long as it is open. A registrar takes a response from nobody but the
        bridge that has the INVITE, so a leg that has one to send is named after the dead one (``names.instance``).
        """
        confirmed = transaction is None and record.remote_tag is not None
        state = DialogState.CONFIRMED if confirmed else DialogState.EARLY
        ahead = {"local_cseq": record.local_cseq + CSEQ_GAP}
        kept = DialogRecord(**record.model_dump() | ahead)
        dialog = SipDialog(kept, state, ignore_contact=settings.ignore_contact)
        leg = cls(names, transaction or "", _dialog=dialog, _settings=settings)
        if transaction is not None and record.remote_cseq is not None:
            leg._open[transaction] = (invite_of(record, record.remote_cseq), None)
        return leg

    @property
    def sip_call_id(self) -> str:
        """Call-ID of the SIP dialog."""
        if self._dialog is not None:
            return self._dialog.record.call_id
        return "" if self._invite is None else self._invite.call_id

    @property
    def record(self) -> SipDialogRecord | None:
        """The SIP dialog as another instance needs it."""
        if self._dialog is not None:
            return record_of(self._dialog.record)
        return None if self._invite is None else record_of_invite(self._invite)

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`, in seconds of a monotonic clock."""
        return self._extensions.timer

    def handle_timer(self, now: float) -> Heard:
        """Do what is due."""
        signals, responses = self._extensions.handle_timer(now)
        return Heard(tuple(signals), self._ring(responses))

    def render(self, action: SipAction, now: float) -> tuple[Parcel, ...]:
        """Turn an action into messages; none where there is nothing any more to send it for."""
        match action:
            case SendInvite(sdp):
                return self._send_invite(sdp)
            case SendReinvite(sdp):
                headers = self._extensions.request_headers()
                return self._in_dialog("INVITE", headers=headers, body=sdp, content_type=SDP)
            case SendRefer(target):
                return self._in_dialog("REFER", headers=(("Refer-To", f"<{target}>"),))
            case SendBye(branch):
                return self._bye(branch)
            case SendAck(branch):
                return self._ack(branch)
            case SendCancel():
                return (self._parcel(RelayKind.CANCEL, self.invite_transaction, to=self.registrar),)
            case Respond():
                return self._respond(action, now)

    def hear(self, relay: Relay, now: float) -> Heard:
        """Turn a relayed message into what it means. Raises :class:`RemoteProtocolError` for what cannot be read."""
        if relay.kind is RelayKind.ACK_TIMEOUT:
            return Heard((Signal(Kind.ACK_TIMEOUT),))
        message = parse_message(relay.sip)
        if isinstance(message, Response):
            return self._hear_response(relay, message, now)
        return self._hear_request(relay, message, now)

    # Sending.

    def _send_invite(self, sdp: bytes | None) -> tuple[Parcel, ...]:
        invite = self._invite
        if invite is None:
            return ()
        if sdp is not None:
            invite.body = sdp
            invite.headers.set("Content-Type", SDP)
        for name, value in self._extensions.request_headers():
            invite.headers.set(name, value)
        self._forks = self._forks or DialogSet(invite, ignore_contact=self._settings.ignore_contact)
        return (self._request(invite, self.invite_transaction),)

    def _in_dialog(
        self,
        method: str,
        *,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> tuple[Parcel, ...]:
        if self._dialog is None or self._dialog.state is not DialogState.CONFIRMED:
            return ()
        request = self._dialog.request(method, headers=headers, body=body, content_type=content_type)
        return (self._request(request, self._next_transaction()),)

    def _bye(self, branch: str) -> tuple[Parcel, ...]:
        dialog = self._branch(branch) if branch else self._dialog
        if dialog is None:
            return ()
        if dialog.state is DialogState.TERMINATED:
            # Again, where a registrar took the first one to its grave, or where the PBX said 408 and may still talk.
            dialog = SipDialog(dialog.record, DialogState.CONFIRMED, ignore_contact=self._settings.ignore_contact)
            self._dialog = self._dialog if branch else dialog
        return (self._request(dialog.request("BYE"), self._next_transaction(), own=not branch),)

    def _ack(self, branch: str) -> tuple[Parcel, ...]:
        dialog, cseq = self._branch(branch) or self._dialog, self._cseqs.get(branch)
        if dialog is None or cseq is None:
            return ()
        return (self._request(dialog.ack(cseq), self._next_transaction(), own=False),)

    def _respond(self, action: Respond, now: float) -> tuple[Parcel, ...]:
        if action.transaction not in self._open:
            return ()
        request, registrar = self._open[action.transaction]
        if action.code >= 200:
            del self._open[action.transaction]
        if request.method == "INVITE" and 200 <= action.code < 300:
            self._awaits_answer = bodies.sdp_of(request) is None
        if request is self._invite and 100 < action.code < 200 and self._extensions.requires_prack(request):
            return self._ring_reliably(request, action.code, now)
        response = self._response(request, action.code, self._headers(request, action.code, now), action.sdp)
        return (self._parcel(RelayKind.RESPONSE, action.transaction, response.encode(), to=registrar),)

    def _headers(self, request: Request, code: int, now: float) -> Iterable[tuple[str, HeaderValue]]:
        if request is self._invite and code >= 200:
            self._extensions.answered(now)
        accepted = 200 <= code < 300 and request.method in TARGET_REFRESHES
        return self._extensions.answer_headers(request, now) if accepted else ()

    def _ring_reliably(self, invite: Request, code: int, now: float) -> tuple[Parcel, ...]:
        if bodies.sdp_of(invite) is None:
            # The first reliable response would have to hold our offer (RFC 3262 section 5), which there is not yet.
            return ()
        return self._ring(self._extensions.ring(invite, self._response(invite, code, ()), now))

    def _ring(self, responses: Iterable[Response]) -> tuple[Parcel, ...]:
        _, registrar = self._open.get(self.invite_transaction, (None, None))
        return tuple(
            self._parcel(RelayKind.RESPONSE, self.invite_transaction, response.encode(), to=registrar)
            for response in responses
            if registrar is not None
        )

    def _response(
        self, request: Request, code: int, headers: Iterable[tuple[str, HeaderValue]], sdp: bytes | None = None
    ) -> Response:
        dialog = self._dialog
        content_type = None if sdp is None else SDP
        if dialog is not None and request is self._invite:
            return dialog.respond(request, code, headers=headers, body=sdp or b"", content_type=content_type)
        return request.respond(code, headers=headers, body=sdp or b"", content_type=content_type)

    def _request(self, request: Request, transaction: str, *, own: bool = True) -> Parcel:
        if own:
            self._sent[transaction] = request.method
        return self._parcel(RelayKind.REQUEST, transaction, request.encode())

    def _parcel(self, kind: RelayKind, transaction: str, sip: bytes = b"", *, to: str | None = None) -> Parcel:
        names = self.names
        return Parcel(Relay(kind, transaction, names.aor, sip, names.call, names.instance), to)

    def _next_transaction(self) -> str:
        self._count += 1
        return f"{self.names.prefix}.{self._count}"

    # Hearing.

    def _hear_response(self, relay: Relay, response: Response, now: float) -> Heard:
        if relay.transaction == self.invite_transaction:
            return self._hear_invite_response(relay, response, now)
        method = self._sent.get(relay.transaction)
        if method == "PRACK":
            if response.is_final:
                del self._sent[relay.transaction]
            return self._hear_prack_response(response)
        if method is None or self._dialog is None:
            return self._hear_again(response)
        self._dialog.receive_response(response)
        if response.is_success and method == "INVITE":
            self._cseqs[response.to.tag or ""] = response.cseq.number
            self._extensions.accepted(response, now)
        kind = replies.in_dialog_kind(method, response)
        if kind is None:
            return NOTHING
        if not response.is_success or method != "INVITE":
            del self._sent[relay.transaction]
        return Heard((replies.response_input(kind, response, local=relay.local),))

    def _hear_prack_response(self, response: Response) -> Heard:
        """Take the number of a 2xx, which may be above ours (credentials were added). A refusal ends no call."""
        branch = self._branch(response.to.tag or "")
        if branch is not None and response.is_success:
            branch.receive_response(response)
        return NOTHING

    def _hear_again(self, response: Response) -> Heard:
        """Acknowledge a 2xx that we have: its ACK died with the registrar, so the PBX sends it again."""
        if self._dialog is None or response.cseq.method != "INVITE" or not response.is_success:
            return NOTHING
        if not self._dialog.matches(response):
            return NOTHING
        ack = self._dialog.ack(response.cseq.number)
        return Heard(parcels=(self._request(ack, self._next_transaction(), own=False),))

    def _hear_invite_response(self, relay: Relay, response: Response, now: float) -> Heard:
        if self._forks is None:
            return NOTHING
        is_new, rack = self._extensions.ringing(response) if response.is_provisional else (True, None)
        if not is_new:
            return NOTHING
        dialog = self._forks.receive(response)
        branch = None if self._dialog is None else self._dialog.record.remote_tag or ""
        kind = replies.invite_kind(response, answered_branch=branch)
        if response.is_success:
            self._cseqs[response.to.tag or ""] = response.cseq.number
            if self._dialog is None:
                self._dialog = dialog
                self._extensions.accepted(response, now)
        pracks: tuple[Parcel, ...] = ()
        if rack is not None and dialog is not None:
            prack = dialog.request("PRACK", headers=[("RAck", str(rack))])
            pracks = (self._request(prack, self._next_transaction()),)
        return Heard((replies.response_input(kind, response, local=relay.local),), pracks)

    def _hear_request(self, relay: Relay, request: Request, now: float) -> Heard:
        if request.method == "CANCEL":
            # It names the INVITE's transaction, and the registrar has answered it.
            known = relay.transaction in self._open
            return Heard((replies.cancel_input(request, relay.transaction),)) if known else NOTHING
        try:
            dialog = self._take(request)
            self._check(request, now)
        except RemoteProtocolError as error:
            reply = replies.Reply(error.status, error.headers)
            return NOTHING if request.method == "ACK" else self._reply(relay, request, reply, now)
        if request.method == "ACK":
            awaits, self._awaits_answer = self._awaits_answer, False
            return Heard((replies.ack_input(request, relay.transaction, awaits_answer=awaits),))
        if dialog is not (self._dialog or dialog):
            # A branch that lost; it has our BYE and may have sent its own.
            return self._reply(relay, request, replies.Reply(200 if request.method == "BYE" else 481), now)
        meaning = replies.classify(request, relay.transaction)
        if isinstance(meaning, replies.Reply):
            return self._reply(relay, request, meaning, now)
        if len(self._open) >= MAX_OPEN:
            return self._reply(relay, request, replies.Reply(500), now)
        self._open[relay.transaction] = (request, relay.sender)
        return Heard((meaning,))

    def _check(self, request: Request, now: float) -> None:
        """Raise :class:`RemoteProtocolError` where an extension stands against a request."""
        if request.method == "PRACK":
            self._extensions.prack(request, now)
        elif request.method in TARGET_REFRESHES:
            self._extensions.check(request)

    def _take(self, request: Request) -> SipDialog:
        """Find the SIP dialog of a request, and take its number and Contact. Raises :class:`RemoteProtocolError`."""
        for dialog in self._dialogs():
            if dialog.matches(request):
                self._receive(dialog, request)
                return dialog
        raise RemoteProtocolError("no such SIP dialog", status=481, request=request)

    def _receive(self, dialog: SipDialog, request: Request) -> None:
        if request.method == "BYE" and dialog.state is DialogState.TERMINATED:
            return  # It crossed ours.
        dialog.receive(request)

    def _reply(self, relay: Relay, request: Request, reply: replies.Reply, now: float) -> Heard:
        headers = [*reply.headers, *self._headers(request, reply.code, now)]
        response = request.respond(reply.code, headers=headers)
        answer = self._parcel(RelayKind.RESPONSE, relay.transaction, response.encode(), to=relay.sender)
        return Heard(parcels=(answer,))

    def _dialogs(self) -> Iterable[SipDialog]:
        if self._forks is not None:
            yield from self._forks.dialogs
        if self._dialog is not None:
            yield self._dialog

    def _branch(self, tag: str) -> SipDialog | None:
        for dialog in () if self._forks is None else self._forks.dialogs:
            if (dialog.record.remote_tag or "") == tag:
                return dialog
        return None
