"""Calls that come to a phone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from dialog_sip import Request
from dialog_sip.aio import ServerRequest
from dialog_sip.sdp import Codec, Direction, SdpError
from dialog_sip.sip_dialog import SipDialog

from dialog_sandbox.media.audio_port import AudioPort
from dialog_sandbox.phone import descriptions
from dialog_sandbox.phone.call import SDP, Call, CallEndedError, CallKey, CallState
from dialog_sandbox.phone.line import Line


class IncomingCall(Call):
    """A call that wants an answer. Raises :class:`RemoteProtocolError` on an INVITE that cannot be read."""

    def __init__(self, line: Line, audio: AudioPort, codecs: Sequence[Codec], server: ServerRequest) -> None:
        super().__init__(line, audio, codecs, server.request.from_.uri_text)
        self.sip_dialog: SipDialog = SipDialog.uas(server.request, secrets.token_hex(8))
        self._server = server
        server.on_cancel = self._cancelled
        server.on_ack_timeout = self._never_acknowledged

    @property
    def key(self) -> CallKey:
        """Call-ID and our tag."""
        return self.sip_dialog.record.call_id, self.sip_dialog.record.local_tag

    @property
    def invite(self) -> Request:
        """The INVITE."""
        return self._server.request

    @property
    def is_answered(self) -> bool:
        """Whether the INVITE has its final response."""
        return self._server.final is not None

    def ring(self) -> None:
        """Answer 180."""
        if self.state is CallState.CALLING:
            self._respond(self._server, self.sip_dialog.respond(self.invite, 180))
            self.move(CallState.RINGING)

    def answer(self) -> None:
        """Answer 200 and speak. Raises :class:`CallEndedError` where there is no call, or no codec in common."""
        if self.state >= CallState.TALKING:
            raise CallEndedError(f"the call is {self.state.name.lower()}")
        try:
            offer = descriptions.read(self.invite.body)
            body = self._offer(Direction.SENDRECV) if offer is None else self._answer(offer)
        except SdpError as error:
            self.reject(488)
            raise CallEndedError(str(error)) from error
        if offer is None:
            self._server.on_ack = self._take_late_answer
        self._respond(self._server, self.sip_dialog.respond(self.invite, 200, body=body, content_type=SDP))
        self.move(CallState.TALKING)

    def reject(self, code: int = 603) -> None:
        """Answer with a failure, if it is not too late."""
        if self.state < CallState.TALKING:
            self._respond(self._server, self.sip_dialog.respond(self.invite, code))
            self.end(code)

    async def hangup(self) -> None:
        """End it: refuse until it is answered, then BYE."""
        if self.state < CallState.TALKING:
            self.reject(480)
        else:
            await super().hangup()

    def _cancelled(self, _cancel: Request) -> None:
        self.reject(487)

    def _never_acknowledged(self) -> None:
        if self.state is CallState.TALKING:
            self._line.start(self.sip_dialog.request("BYE"))
            self.end(408)
