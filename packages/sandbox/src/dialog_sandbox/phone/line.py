"""A phone's way to its PBX: one flow, and the credentials for what the PBX challenges."""

from __future__ import annotations

import secrets

from dialog_sip import NameAddr, Request, Response
from dialog_sip.aio import ClientRequest, Endpoint, Flow
from dialog_sip.digest import DigestClient, Outcome
from pydantic import SecretStr

from dialog_sandbox.media.audio_port import Address

USER_AGENT = "dialog-sandbox-phone"
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
MAX_CHALLENGES = 3
"""Of one request; a PBX that challenges on and on is not followed."""
_WITH_CONTACT = frozenset({"INVITE", "UPDATE"})


class Line:
    """What all calls of a phone share."""

    def __init__(self, endpoint: Endpoint, flow: Flow, user: str, password: SecretStr, domain: str) -> None:
        self.endpoint = endpoint
        self.flow = flow
        self.user = user
        self.domain = domain
        """Host of our AOR."""
        self._password = password
        self._digest = DigestClient(user)

    @property
    def aor(self) -> str:
        """``sip:user@domain``."""
        return f"sip:{self.user}@{self.domain}"

    @property
    def contact(self) -> str:
        """URI under which the PBX reaches us."""
        return str(self.flow.contact_uri(self.user))

    @property
    def host(self) -> Address:
        """Our address towards the PBX."""
        return self.flow.local

    def start(self, request: Request) -> ClientRequest:
        """Send a request, with credentials where a challenge is known. Raises :class:`FlowError`."""
        self._digest.authorize(request, self._password.get_secret_value())
        request.headers.set("User-Agent", USER_AGENT)
        if request.method in _WITH_CONTACT:
            request.headers.set("Contact", NameAddr.make(self.contact))
            request.headers.set("Allow", ALLOW)
        return self.endpoint.request(request, self.flow)

    def again(self, request: Request, response: Response, cseq: int | None = None) -> Request | None:
        """Return ``request`` anew for the challenge in ``response``, its CSeq one higher; None without hope."""
        if response.code not in {401, 407} or self._digest.learn(response) is not Outcome.RETRY:
            return None
        again = request.copy()
        again.headers.remove("Via")
        number = request.cseq.number + 1 if cseq is None else cseq
        again.headers.set("CSeq", f"{number} {request.method}")
        return again

    async def transact(self, request: Request) -> Response:
        """Send a request other than INVITE and return its final response, challenges answered.

        Raises :class:`RequestFailedError` where there is none.
        """
        for _ in range(MAX_CHALLENGES):
            response = await self.start(request).final()
            again = self.again(request, response)
            if again is None:
                return response
            request = again
        return response

    def new_call_id(self) -> str:
        """Return a Call-ID that nobody else has."""
        return f"{secrets.token_hex(12)}@{self.flow.local[0]}"
