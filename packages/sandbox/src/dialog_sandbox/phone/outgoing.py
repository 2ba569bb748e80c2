"""Calls that a phone places."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from dialog_sip import NameAddr, RemoteProtocolError, Request, Response
from dialog_sip.aio import ClientRequest, FlowError, RequestFailedError
from dialog_sip.sdp import Codec, Direction, SdpError
from dialog_sip.sip_dialog import DialogSet, SipDialog, initial_request

from dialog_sandbox.media.audio_port import AudioPort
from dialog_sandbox.phone.call import SDP, Call, CallKey, CallState
from dialog_sandbox.phone.line import MAX_CHALLENGES, Line


class OutgoingCall(Call):
    """A call that we place. It lives as a task until its INVITE has its final response."""

    def __init__(self, line: Line, audio: AudioPort, codecs: Sequence[Codec], to: str) -> None:
        super().__init__(line, audio, codecs, to)
        invite = initial_request(
            "INVITE",
            to,
            from_=NameAddr.make(line.aor, tag=secrets.token_hex(8)),
            to=NameAddr.make(to),
            call_id=line.new_call_id(),
            body=self._offer(Direction.SENDRECV),
            content_type=SDP,
        )
        self._dialogs = DialogSet(invite)
        self._client: ClientRequest | None = None
        self._cancelled = False
        self._placing = asyncio.get_running_loop().create_task(self._place(invite), name=f"invite-{to}")

    @property
    def key(self) -> CallKey:
        """Call-ID and our tag."""
        return self._dialogs.invite.call_id, self._dialogs.invite.from_.tag

    async def hangup(self) -> None:
        """End it: CANCEL until it is answered, then BYE."""
        if self.state is CallState.TALKING:
            await super().hangup()
            return
        self._cancelled = True
        if self._client is not None:
            self._client.cancel()
        # The INVITE's own timers bound this.
        await asyncio.wait({self._placing})

    async def close(self) -> None:
        """Give back what an ended call held; its task has come to its end as well."""
        await super().close()
        await self._placing

    async def _place(self, invite: Request) -> None:
        try:
            final = await self._answered(invite)
        except (FlowError, RequestFailedError):
            self.end(None)
            return
        except RemoteProtocolError:
            # A response that cannot be read ends the call here; the callee's timers end it there.
            self.end(None)
            return
        if not final.is_success:
            self.end(final.code)

    async def _answered(self, request: Request) -> Response:
        for _ in range(MAX_CHALLENGES):
            final = await self._follow(request)
            again = self._line.again(request, final)
            if again is None or self._cancelled:
                break
            request = again
        return final

    async def _follow(self, request: Request) -> Response:
        client = self._client = self._line.start(request)
        if self._cancelled:
            client.cancel()
        async for response in client.responses():
            self._take(response)
        client.on_response = self._take
        if client.last is None:
            raise RemoteProtocolError("no final response")
        return client.last

    def _take(self, response: Response) -> None:
        dialog = self._dialogs.receive(response)
        if response.is_success and dialog is not None:
            self._take_success(response, dialog)
        elif 180 <= response.code < 200:
            self.move(CallState.RINGING)

    def _take_success(self, response: Response, dialog: SipDialog) -> None:
        self._line.endpoint.acknowledge(dialog.ack(response.cseq.number), self._line.flow)
        if self.sip_dialog is not None or self._cancelled:
            # Another phone answered as well, or our CANCEL came too late (RFC 3261 section 13.2.2.4).
            self._line.start(dialog.request("BYE"))
            self.end(487) if self._cancelled else None
            return
        self.sip_dialog = dialog
        try:
            self._take_answer(response.body)
        except SdpError:
            self._line.start(dialog.request("BYE"))
            self.end(488)
            return
        self.move(CallState.TALKING)
