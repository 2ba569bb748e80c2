"""Offer and answer of one call (RFC 3264): what a description means for the forwarder and for the other side.

Theory of operation. The first exchange fixes the codecs: the PBX's answer for an outgoing call, the client's for an
incoming one. From then on the client is left alone: hold, a changed address or a changed payload type on the SIP side
is settled here, by gates and routes of the forwarder, and a new description goes to the client only in answer to one
of its own (its re-offer, with an ICE restart where the credentials are new). Only a change of codec cannot be hidden;
it is refused with 488.
"""

from __future__ import annotations

import secrets

from dialog_schemas.calls import Quality
from dialog_sip.sdp import (
    Candidate,
    Codec,
    Direction,
    Origin,
    SdpError,
    Session,
    Setup,
    answer_direction,
    with_next_version,
)

from dialog_bridge.adapters.media.addresses import resolve
from dialog_bridge.adapters.media.codecs import Agreement, agree, our_offer
from dialog_bridge.adapters.media.forwarder import Forwarder
from dialog_bridge.adapters.media.latch import Address
from dialog_bridge.adapters.media.sip_sdp import SipDescription, SipOffer, origin_at
from dialog_bridge.adapters.media.web_leg import Role
from dialog_bridge.adapters.media.web_sdp import WebAnswer, WebDescription, WebSource
from dialog_bridge.ports import MediaError


class RelaySession:
    """A :class:`dialog_bridge.ports.MediaSession`. ``address`` is what SDP names to the PBX."""

    def __init__(self, forwarder: Forwarder, address: str) -> None:
        self._forwarder = forwarder
        self._address = address
        self._session_id = secrets.randbits(62)
        self._agreement = Agreement()
        self._web: WebDescription | None = None
        """The client's last description."""
        self._web_offer: WebDescription | None = None
        """An offer of the client that has no answer yet."""
        self._web_codecs: tuple[Codec, ...] = ()
        """What the client speaks, or was offered."""
        self._web_said: Session | None = None
        self._dtls_active: bool | None = None
        """Whether we opened the DTLS association, once that is settled."""
        self._sip_offer: SipDescription | None = None
        """The offer of an incoming call that has no answer yet."""
        self._sip_mux = False
        self._sip_ptime: int | None = None
        self._sip_codecs: tuple[Codec, ...] = ()
        self._sip_said: Session | None = None
        self._sip_direction = Direction.SENDRECV
        self._held = False
        self._answered = False
        """Whether the call was: before that the PBX may be silent for as long as it rings."""
        self._closed = False

    async def take_web_offer(self, sdp: str) -> bytes:
        """Take the client's offer and return the offer for the SIP side."""
        offer = WebDescription.read(sdp)
        if self._agreement.audio:
            self._check_codecs(offer.codecs)
        else:
            self._sip_codecs = our_offer(offer.codecs)
        await self._prepare(offer)
        self._web = self._web_offer = offer
        self._web_codecs = offer.codecs
        return self._say_to_sip(self._sip_description(self._wanted))

    async def take_sip_answer(self, sdp: bytes, *, early: bool = False) -> str | None:
        """Take the SIP side's answer and return the client's, where it waits for one."""
        self._answered = self._answered or not early
        answer = SipDescription.read(sdp)
        agreement = agree(self._web_codecs, answer.codecs, chooser=answer.codecs)
        self._check_agreement(agreement)
        await self._gathered()
        await self._use_sip(answer, agreement)
        offer, self._web_offer = self._web_offer, None
        return None if offer is None else self._answer_web(offer)

    async def take_sip_offer(self, sdp: bytes | None) -> str:
        """Take the first offer of an incoming call and return the client's."""
        offer = None if sdp is None else SipDescription.read(sdp)
        await self._prepare(None)
        await self._gathered()
        self._sip_offer = offer
        self._web_codecs = our_offer(None if offer is None else offer.codecs)
        return self._say_to_web(self._web_answer(None if offer is None else offer.ptime).offer(self._origin))

    async def take_web_answer(self, sdp: str) -> bytes:
        """Take the client's answer and return the SIP side's, or our offer where the INVITE had none."""
        if self._web is not None:
            raise MediaError(500, "the client answers an offer that it did not get")
        answer = WebDescription.read(sdp)
        theirs = self._web_codecs if self._sip_offer is None else self._sip_offer.codecs
        agreement = agree(answer.codecs, theirs, chooser=answer.codecs).first_only()
        self._check_agreement(agreement)
        self._answered = True
        self._web, self._web_codecs = answer, answer.codecs
        self._dtls_active = answer.setup is Setup.PASSIVE
        self._start_web(answer, Role.OFFERER)
        if self._sip_offer is None:
            self._sip_codecs = agreement.sip_codecs
            return self._say_to_sip(self._sip_description(self._wanted))
        offer, self._sip_offer = self._sip_offer, None
        return await self._answer_sip(offer, agreement)

    async def take_sip_reoffer(self, sdp: bytes) -> bytes:
        """Take an offer of a re-INVITE or UPDATE and return the answer."""
        offer = SipDescription.read(sdp)
        agreement = agree(self._web_codecs, offer.codecs, chooser=[pair.web for pair in self._agreement.audio])
        agreement = agreement.first_only()
        self._check_agreement(agreement)
        return await self._answer_sip(offer, agreement)

    def sip_offer(self, *, held: bool) -> bytes:
        """Return the offer for a re-INVITE of ours."""
        self._held = held
        self._set_gates()
        return self._say_to_sip(self._sip_description(self._wanted))

    def add_candidate(self, candidate: str, mid: str | None, mline_index: int | None) -> None:
        """Take a candidate of the client. One that cannot be used is ignored."""
        if self._closed or not candidate or not self._is_ours(mid, mline_index):
            return
        try:
            found = Candidate.parse(candidate)
        except SdpError:
            return
        generation = dict(found.extensions).get("ufrag")
        if generation is None or self._web is None or generation == self._web.transport.ufrag:
            self._forwarder.web.add_candidates([found])

    def send_digits(self, digits: str, duration_ms: int) -> None:
        """Queue digits for the SIP side."""
        self._forwarder.press(digits, duration_ms)

    def quality(self) -> Quality:
        """Return what was counted so far."""
        return self._forwarder.quality()

    async def close(self) -> None:
        """Free sockets and tasks of the call."""
        self._closed = True
        await self._forwarder.close()

    @property
    def _origin(self) -> Origin:
        return origin_at(self._address, self._session_id)

    @property
    def _wanted(self) -> Direction:
        """What we want of the SIP side: what the client wants, less what hold takes."""
        web = Direction.SENDRECV if self._web is None else self._web.direction
        return Direction.of(sends=web.sends, receives=web.receives and not self._held)

    async def _prepare(self, offer: WebDescription | None) -> None:
        self._check_open()
        known = self._web
        if offer is None or known is None or offer.transport.ufrag != known.transport.ufrag:
            await self._forwarder.web.prepare()
            self._check_open()
        if offer is not None:
            self._forwarder.web.add_candidates(offer.candidates)

    async def _gathered(self) -> None:
        """Wait for our candidates: the client's description names them, that for the SIP side goes without."""
        await self._forwarder.web.gathered()
        self._check_open()

    def _start_web(self, theirs: WebDescription, role: Role) -> None:
        if role is Role.OFFERER:
            self._forwarder.web.add_candidates(theirs.candidates)
        self._forwarder.web.start(theirs.transport, role, dtls_active=self._dtls_active is True)

    def _answer_web(self, offer: WebDescription) -> str:
        if self._dtls_active is None:
            self._dtls_active = offer.setup.answer is Setup.ACTIVE
        # A role that was settled stays for as long as the association lives (RFC 8842 section 5.3).
        setup = Setup.ACTIVE if self._dtls_active else Setup.PASSIVE
        answer = self._web_answer(self._sip_ptime, self._agreement.web_codecs).answer(self._origin, offer, setup)
        self._start_web(offer, Role.ANSWERER)
        return self._say_to_web(answer)

    def _web_answer(self, ptime: int | None, codecs: tuple[Codec, ...] | None = None) -> WebAnswer:
        source = WebSource(self._forwarder.to_web.rewriter.ssrc, self._forwarder.cname)
        return WebAnswer(self._forwarder.web.local, source, codecs or self._web_codecs, ptime)

    async def _answer_sip(self, offer: SipDescription, agreement: Agreement) -> bytes:
        await self._use_sip(offer, agreement)
        return self._say_to_sip(self._sip_description(answer_direction(offer.direction, self._wanted), offer))

    async def _use_sip(self, theirs: SipDescription, agreement: Agreement) -> None:
        rtp, rtcp = await _resolved(theirs.rtp), await _resolved(theirs.rtcp)
        self._check_open()
        self._agreement = agreement
        self._sip_codecs = agreement.sip_codecs
        self._sip_direction = theirs.direction
        self._sip_mux = theirs.mux
        self._sip_ptime = theirs.ptime
        self._forwarder.sip.describe(rtp, rtcp, mux=theirs.mux)
        self._forwarder.use(agreement)
        self._forwarder.pbx_lives()
        self._set_gates()

    def _set_gates(self) -> None:
        self._forwarder.open_gates(
            to_sip=self._sip_direction.receives and not self._held,
            to_web=self._sip_direction.sends and not self._held,
        )
        web_sends = self._web is not None and self._web.direction.sends
        sip_sends = self._sip_direction.sends and not self._held
        self._forwarder.expect(web=self._answered and web_sends, sip=self._answered and sip_sends)

    def _sip_description(self, direction: Direction, answered: SipDescription | None = None) -> Session:
        web_ptime = None if self._web is None else self._web.ptime
        mux = answered is not None and answered.mux
        offer = SipOffer(self._address, self._forwarder.sip.port, self._sip_codecs, direction, web_ptime, mux=mux)
        return offer.session(self._origin, answered)

    def _say_to_sip(self, session: Session) -> bytes:
        self._sip_said = session if self._sip_said is None else with_next_version(session, self._sip_said)
        return str(self._sip_said).encode()

    def _say_to_web(self, session: Session) -> str:
        self._web_said = session if self._web_said is None else with_next_version(session, self._web_said)
        return str(self._web_said)

    def _is_ours(self, mid: str | None, mline_index: int | None) -> bool:
        if self._web is None:
            return mid in {None, "", "0"} and mline_index in {None, 0}
        if mid:
            return mid == self._web.mid
        return mline_index is None or mline_index == self._web.index

    def _check_open(self) -> None:
        if self._closed:
            raise MediaError(500, "the call has ended")

    def _check_codecs(self, offered: tuple[Codec, ...]) -> None:
        first = self._agreement.audio[0].web
        if all(codec.key != first.key for codec in offered):
            raise MediaError(488, f"the client no longer offers {first.name}")

    def _check_agreement(self, agreement: Agreement) -> None:
        if not agreement.audio:
            raise MediaError(488, "the client and the PBX have no codec in common")
        settled = self._agreement.audio
        if settled and self._web_offer is None and agreement.audio[0].web.key != settled[0].web.key:
            raise MediaError(488, f"the client speaks {settled[0].web.name} and cannot change to another codec")


async def _resolved(address: Address | None) -> Address | None:
    if address is None:
        return None
    try:
        return await resolve(address[0]), address[1]
    except OSError as error:
        raise MediaError(488, f"the PBX's media address {address[0][:64]!r} is not known") from error
