"""The SIP dialogs that one INVITE of ours makes: one for each To tag that answers (RFC 3261 section 13.2.2.4)."""

from __future__ import annotations

from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.machine import DialogEvent, DialogState, event_of
from dialog_sip.sip_dialog.sip_dialog import SipDialog

MAX_EARLY_DIALOGS = 32
"""Forks beyond are not followed before they answer with a 2xx; a peer chooses how many tags it invents."""


class DialogSet:
    """Follows the responses to an INVITE. A proxy may fork it: each To tag is another phone (RFC 3261 section 16.7)."""

    def __init__(self, invite: Request, *, ignore_contact: bool = False) -> None:
        self.invite = invite
        """The INVITE, as it was built."""
        self._ignore_contact = ignore_contact
        self._dialogs: dict[str | None, SipDialog] = {}
        self._cseq = invite.cseq.number

    @property
    def cseq(self) -> int:
        """CSeq of the INVITE as the peer knows it: that of its last response, above ours once it was challenged."""
        return self._cseq

    @property
    def dialogs(self) -> tuple[SipDialog, ...]:
        """All dialogs, the oldest first."""
        return tuple(self._dialogs.values())

    @property
    def confirmed(self) -> tuple[SipDialog, ...]:
        """Those that a 2xx confirmed. Keep one, ACK and BYE the others (RFC 3261 section 13.2.2.4)."""
        return tuple(dialog for dialog in self._dialogs.values() if dialog.state is DialogState.CONFIRMED)

    def receive(self, response: Response) -> SipDialog | None:
        """Take a response to the INVITE; return the dialog that it made or moved.

        None for one that makes none: 100, a provisional response without a tag, a failure (which ends all that is
        early). Raises :class:`RemoteProtocolError` for headers that cannot be read.
        """
        self._cseq = max(self._cseq, response.cseq.number)
        if event_of(response.code) is DialogEvent.FAILURE:
            self._fail()
            return None
        tag = response.to.tag
        known = self._dialogs.get(tag)
        if known is not None:
            known.receive_response(response)
        elif self._makes_dialog(response, tag):
            known = SipDialog.uac(self.invite, response, ignore_contact=self._ignore_contact)
            self._dialogs[tag] = known
        return known

    def _makes_dialog(self, response: Response, tag: str | None) -> bool:
        if response.is_success:
            return True
        return response.code > 100 and tag is not None and len(self._dialogs) < MAX_EARLY_DIALOGS

    def _fail(self) -> None:
        for dialog in self._dialogs.values():
            dialog.apply(DialogEvent.FAILURE)
