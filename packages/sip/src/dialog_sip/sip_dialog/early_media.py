"""What a caller hears before the answer (RFC 3960, RFC 5009), as a table.

Theory of operation. A ringing tone of our own sounds from the first 180 on, unless the network plays one: that is
what SDP in a 183 means, and what packets that arrive prove. SDP in a 180 alone does not: many peers put their answer
in there and send nothing. P-Early-Media, where a network sends it, has the last word. Once there is early media it
stays, or the caller would hear the tone change with every response. Of a forked call the first branch with media is
heard, and the others are not (RFC 3960 section 3.1).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dialog_sip.message import Response
from dialog_sip.sip_dialog.offer_answer import sdp_of


class EarlyMediaState(StrEnum):
    """What is to be heard (RFC 3960 section 3.2)."""

    SILENT = "silent"
    RINGING = "ringing"
    """A tone of our own."""
    EARLY_MEDIA = "early-media"
    """What the network sends."""
    OVER = "over"
    """The call was answered, or it failed."""


class EarlyMediaEvent(StrEnum):
    """What moves it (RFC 3960 section 3.2, RFC 5009)."""

    RINGING = "ringing"
    """180, 181 or 182 without word of media."""
    MEDIA_ANNOUNCED = "media-announced"
    """SDP in a 183, or P-Early-Media says so."""
    MEDIA_DENIED = "media-denied"
    """P-Early-Media says that none will come."""
    MEDIA_ARRIVED = "media-arrived"
    """Packets came."""
    FINAL = "final"


_S, _E = EarlyMediaState, EarlyMediaEvent

TRANSITIONS: Final = {
    (_S.SILENT, _E.RINGING): _S.RINGING,
    (_S.SILENT, _E.MEDIA_ANNOUNCED): _S.EARLY_MEDIA,
    (_S.SILENT, _E.MEDIA_DENIED): _S.RINGING,
    (_S.SILENT, _E.MEDIA_ARRIVED): _S.EARLY_MEDIA,
    (_S.RINGING, _E.RINGING): _S.RINGING,
    (_S.RINGING, _E.MEDIA_ANNOUNCED): _S.EARLY_MEDIA,
    (_S.RINGING, _E.MEDIA_DENIED): _S.RINGING,
    (_S.RINGING, _E.MEDIA_ARRIVED): _S.EARLY_MEDIA,
    (_S.EARLY_MEDIA, _E.RINGING): _S.EARLY_MEDIA,
    (_S.EARLY_MEDIA, _E.MEDIA_ANNOUNCED): _S.EARLY_MEDIA,
    (_S.EARLY_MEDIA, _E.MEDIA_DENIED): _S.RINGING,
    (_S.EARLY_MEDIA, _E.MEDIA_ARRIVED): _S.EARLY_MEDIA,
    **{(state, _E.FINAL): _S.OVER for state in EarlyMediaState},
    **{(_S.OVER, event): _S.OVER for event in EarlyMediaEvent},
}
"""State and event -> the state after it."""
_AUTHORIZED = {"sendrecv": _E.MEDIA_ANNOUNCED, "sendonly": _E.MEDIA_ANNOUNCED}
_DENIED = {"inactive": _E.MEDIA_DENIED, "recvonly": _E.MEDIA_DENIED}
_SAYS = _AUTHORIZED | _DENIED
_ALERTING = range(180, 183)


class EarlyMedia:
    """What one INVITE of ours lets us hear (RFC 3960 sections 3.1 and 3.2)."""

    def __init__(self) -> None:
        self._state = EarlyMediaState.SILENT
        self.branch: str | None = None
        """To tag of the branch whose media is heard."""

    @property
    def state(self) -> EarlyMediaState:
        """What is to be heard."""
        return self._state

    def receive(self, response: Response) -> EarlyMediaState:
        """Take a response to the INVITE. Raises :class:`RemoteProtocolError` where it cannot be read."""
        event, tag = event_of(response), response.to.tag
        other = self._state is EarlyMediaState.EARLY_MEDIA and tag != self.branch
        if event is not None and (event is EarlyMediaEvent.FINAL or not other):
            self._apply(event, tag)
        return self._state

    def media_arrived(self, branch: str | None = None) -> EarlyMediaState:
        """Note that packets came, of this branch where that can be told."""
        if self._state is not EarlyMediaState.EARLY_MEDIA:
            self._apply(EarlyMediaEvent.MEDIA_ARRIVED, branch)
        return self._state

    def _apply(self, event: EarlyMediaEvent, branch: str | None) -> None:
        before, self._state = self._state, TRANSITIONS[self._state, event]
        if self._state is EarlyMediaState.EARLY_MEDIA and before is not self._state:
            self.branch = branch


def event_of(response: Response) -> EarlyMediaEvent | None:
    """Return what a response says of early media (RFC 3960 section 3.2, RFC 5009); None: nothing."""
    if response.is_final:
        return EarlyMediaEvent.FINAL
    said = (response.headers.get("P-Early-Media") or "").lower()
    for word in said.replace(";", ",").split(","):
        if word.strip() in _SAYS:
            return _SAYS[word.strip()]
    if response.code == 183 and sdp_of(response) is not None:
        return EarlyMediaEvent.MEDIA_ANNOUNCED
    return EarlyMediaEvent.RINGING if response.code in _ALERTING else None
