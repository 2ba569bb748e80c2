"""What the bridge needs from outside, as protocols: media, SIP, the call's listeners, the directory.

The media port is the seam to a media engine. An engine knows one call as two legs: *web* is the messenger's client
(WebRTC, JSEP descriptions as text), *sip* is the PBX (RTP, RFC 3264 descriptions as bytes, as they stand in a message).
Per call one session, opened before the first description and closed exactly once, whatever happened between.
"""

from __future__ import annotations

from asyncio import Future
from typing import Protocol

from dialog_runtime.bus import Record
from dialog_schemas.calls import CallEvent, Quality
from dialog_schemas.instances import CallHeld
from dialog_schemas.mappings import MappingUpserted
from dialog_schemas.relay import Relay


class MediaError(Exception):
    """Media cannot be had. ``sip_code`` is what the PBX is told where it waits for an answer.

    488: nothing in common (RFC 3261 section 21.4.26); 400: a description that cannot be read; 500: our own fault;
    503: no ports or no capacity.
    """

    def __init__(self, sip_code: int, reason: str) -> None:
        super().__init__(reason)
        self.sip_code = sip_code
        self.reason = reason


class MediaEvents(Protocol):
    """What a media session reports by itself. Called in the event loop; implementations never block and never raise.

    Nothing is reported after :meth:`MediaSession.close` has returned.
    """

    def candidate_found(self, candidate: str, mid: str | None) -> None:
        """Report an ICE candidate for the client (``candidate:...``, RFC 8839); an empty one ends the list."""

    def connected(self) -> None:
        """Report that ICE and DTLS with the client are done: packets flow both ways. Once per ICE generation."""

    def silent(self) -> None:
        """Report that the PBX, which is to send, has been silent for a while: it may be gone. Once each silence."""

    def failed(self, reason: str) -> None:
        """Report that the media of either side is lost for good. At most once; the owner closes the session."""

    def digit_received(self, digit: str, duration_ms: int) -> None:
        """Report a key that the SIP side pressed (RFC 4733), once, when it is released."""


class MediaSession(Protocol):
    """The media of one call. Each ``take_*`` is called for one description at a time and raises :class:`MediaError`.

    Exactly one of the two orders is used first. Outgoing: :meth:`take_web_offer`, then :meth:`take_sip_answer` once per
    answer that the PBX sends (183 and 200, forks). Incoming: :meth:`take_sip_offer`, then :meth:`take_web_answer`.
    """

    async def take_web_offer(self, sdp: str) -> bytes:
        """Take the client's offer (a first or a later one) and return the offer for the SIP side."""

    async def take_sip_answer(self, sdp: bytes, *, early: bool = False) -> str | None:
        """Take the SIP side's answer and return the client's, or None where the client has nothing new to learn.

        ``early``: the call is not answered yet, so that silence of the PBX means nothing.

        Comes again with 200 after 183, perhaps from another branch of a forked call (then media moves there), after our
        own re-INVITE, and in the ACK where :meth:`take_web_answer` or :meth:`sip_offer` gave an offer.
        """

    async def take_sip_offer(self, sdp: bytes | None) -> str:
        """Take the first offer of an incoming call and return the client's. None: the INVITE had no offer."""

    async def take_web_answer(self, sdp: str) -> bytes:
        """Take the client's answer and return what the 200 carries: the answer, or our offer where the INVITE had none.

        Also ends an offer that the client got later (an ICE restart of ours); the returned description is then current.
        """

    async def take_sip_reoffer(self, sdp: bytes) -> bytes:
        """Take an offer of a re-INVITE or UPDATE and return the answer. Hold shows as inactive or sendonly in it."""

    def sip_offer(self, *, held: bool) -> bytes:
        """Return the offer for a re-INVITE of ours: with ``held`` the SIP side is told to be quiet (RFC 3264 8.4)."""

    def add_candidate(self, candidate: str, mid: str | None, mline_index: int | None) -> None:
        """Take a candidate of the client; an empty one ends the list. One that cannot be used is ignored (RFC 8838)."""

    def send_digits(self, digits: str, duration_ms: int) -> None:
        """Queue digits for the SIP side (RFC 4733), each ``duration_ms`` long. Bounded; dropped once closed."""

    def quality(self) -> Quality:
        """Return what was counted so far; still answers after :meth:`close`."""

    async def close(self) -> None:
        """Free sockets and tasks of the call. Safe to call twice, and while a ``take_*`` is under way."""


class MediaEngine(Protocol):
    """Opens media sessions."""

    async def open(self, call_id: str, sip_peer: str, events: MediaEvents) -> MediaSession:
        """Open the media of one call. ``sip_peer`` is the host of the PBX: it decides our address for RTP.

        Raises :class:`MediaError`.
        """


class Outbox(Protocol):
    """The way out to the bus. Returns at once and keeps the order; the future is done when the bus has the message.

    What is sent is delivered, however long the bus is away, except for SIP that has lost its sense by then.
    """

    def tell(self, event: CallEvent, trace: str | None) -> Future[None]:
        """Publish a call event. Its id follows from call and ``seq``, so that a repetition is known as one."""

    def relay(self, to: str, relay: Relay) -> Future[None]:
        """Send a SIP message to a registrar."""

    def record(self, entry: CallHeld) -> Future[None]:
        """Write an entry of the directory."""

    def forget(self, call_id: str) -> Future[None]:
        """Drop an entry of the directory."""

    async def forward(self, to: str, record: Record) -> None:
        """Send a record on to another bridge, as it came. Raises :class:`dialog_runtime.bus.BusError`."""


class Mappings(Protocol):
    """The usable rows of the table, as they are now."""

    def by_aor(self, aor: str) -> MappingUpserted | None:
        """Return the mapping with this address of record."""

    def of_user(self, user_id: int) -> list[MappingUpserted]:
        """Return the mappings of a user of the messenger."""


class Registrars(Protocol):
    """Who holds the flow of a mapping."""

    def holder_of(self, aor: str) -> str | None:
        """Return the registrar to send SIP of this mapping to; None where none has it."""

    def keeps_address(self, aor: str) -> bool:
        """Tell whether the registrar of this mapping has the same address for the PBX after it was started anew."""
