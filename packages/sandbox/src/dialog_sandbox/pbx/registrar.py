"""REGISTER (RFC 3261 section 10.3) and who may do what (section 22). Pure; time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from dialog_sip import NameAddr, RemoteProtocolError, Request, Response
from dialog_sip.digest import Algorithm, DigestServer, Verdict

from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.location import Bound, Location

F = TypeVar("F")


class Registrar(Generic[F]):
    """Binds users to flows. ``grant``: the longest Expires in seconds; ``minimum``: less is answered 423.

    ``algorithms``: those of its challenges. MD5 alone is what most PBXs ask for, and some phones give up at the sight
    of another, even beside MD5.
    """

    def __init__(
        self,
        realm: str,
        accounts: Accounts,
        location: Location[F],
        grant: int,
        minimum: int,
        algorithms: Sequence[Algorithm] = (Algorithm.MD5,),
    ) -> None:
        self._accounts = accounts
        self._location = location
        self._grant = grant
        self._minimum = minimum
        self._user_challenges = DigestServer(realm, algorithms)
        self._proxy_challenges = DigestServer(realm, algorithms, proxy=True)

    def refuse(self, request: Request, now: float) -> Response | None:
        """Return the challenge or refusal that the request earns, or None where its credentials are right.

        Raises :class:`RemoteProtocolError` where From or To cannot be read.
        """
        registers = request.method == "REGISTER"
        server = self._user_challenges if registers else self._proxy_challenges
        verdict = server.verify(request, self._accounts.password_of, now)
        if verdict is Verdict.OK:
            return None
        if verdict is Verdict.WRONG:
            return request.respond(403)
        headers = server.challenge(now, stale=verdict is Verdict.STALE)
        return request.respond(401 if registers else 407, headers=headers)

    def register(self, request: Request, flow: F, now: float) -> Response:
        """Answer a REGISTER, its challenge included. Raises :class:`RemoteProtocolError` where it cannot be read."""
        refusal = self.refuse(request, now)
        if refusal is not None:
            return refusal
        user = request.to.uri.username
        if request.is_contact_wildcard:
            for bound in self._location.find(user, now):
                self._location.unbind(user, bound.uri)
            return self._bindings_of(user, request, now)
        wanted = [(contact, self._expires(contact, request)) for contact in request.contacts]
        if any(0 < expires < self._minimum for _, expires in wanted):
            return request.respond(423, headers=[("Min-Expires", self._minimum)])
        for contact, expires in wanted:
            if not self._update(user, contact, expires, request, flow, now):
                return request.respond(403, "Too Many Bindings")
        return self._bindings_of(user, request, now)

    def _expires(self, contact: NameAddr, request: Request) -> int:
        asked = contact.expires if contact.expires is not None else request.expires
        return self._grant if asked is None else min(asked, self._grant)

    def _update(self, user: str, contact: NameAddr, expires: int, request: Request, flow: F, now: float) -> bool:
        uri, cseq = str(contact.uri), request.cseq.number
        known = next((bound for bound in self._location.find(user, now) if bound.uri == uri), None)
        if known is not None and known.call_id == request.call_id and cseq <= known.cseq:
            raise RemoteProtocolError("REGISTER out of order", status=500, reason="Server Internal Error")
        if expires == 0:
            self._location.unbind(user, uri)
            return True
        path = tuple(request.headers.get_list("Path"))
        return self._location.bind(user, Bound(uri, flow, now + expires, request.call_id, cseq, path), now)

    def _bindings_of(self, user: str, request: Request, now: float) -> Response:
        contacts = [
            ("Contact", NameAddr.make(bound.uri, expires=str(round(bound.expires_at - now))))
            for bound in self._location.find(user, now)
        ]
        return request.respond(200, headers=contacts)
