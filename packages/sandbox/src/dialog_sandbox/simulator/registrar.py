"""Judges REGISTERs: the bindings of a simulated PBX. No I/O; time is an argument."""

from __future__ import annotations

import hashlib
from random import Random

from dialog_sandbox.simulator import wire
from dialog_sandbox.simulator.counts import STORM, Counts, Lapse, Oddity
from dialog_sandbox.simulator.faults import Challenge, Faults
from dialog_sandbox.simulator.wire import Register

STORM_PERIOD = 20.0
"""Seconds over which the REGISTERs of one user are counted."""
Source = tuple[str, int]


class User:
    """What is known of one user."""

    __slots__ = (
        "answer", "bound_at", "call_id", "contact", "cseq", "expires_at", "granted", "nc", "nonce", "secret", "times",
        "via",
    )  # fmt: skip

    def __init__(self) -> None:
        self.nonce = b""
        self.nc = 0
        self.secret = b""
        self.expires_at: float | None = None
        """None: not bound."""
        self.bound_at = 0.0
        """When it was bound last."""
        self.granted = 0
        self.contact = b""
        self.call_id = b""
        self.cseq = 0
        self.via = b""
        self.answer = b""
        self.times: list[float] = []


class Registrar:
    """The bindings of one PBX. ``expires`` bounds what is granted, ``nonce_uses`` how often a nonce may be used."""

    def __init__(
        self, password: bytes, *, expires: int = 3600, nonce_uses: int = 0, realm: bytes = b"simulator", seed: int = 0
    ) -> None:
        self.faults = Faults()
        self.counts = Counts()
        self.users: dict[bytes, User] = {}
        self._password = password
        self._expires = expires
        self._nonce_uses = nonce_uses
        self._realm = realm
        self._random = Random(seed)  # noqa: S311  faults that can be repeated
        self._nonces = 0

    def receive(self, data: bytes, source: Source, now: float) -> bytes | None:
        """Take a datagram and return the answer, None where there is none."""
        if self.faults.away or self._lost():
            self.counts.unheard += 1
            return None
        register = wire.read(data)
        if register is None:
            self.counts.malformed += 1
            return None
        user = self.users.get(register.user)
        if user is None:
            user = self.users[register.user] = User()
        if register.via == user.via and register.cseq == user.cseq:
            self.counts.duplicates += 1
        else:
            self._note(user, register, now)
            user.answer = self._answer(user, register, source, now)
        return None if self._lost() else user.answer

    def lapses(self, now: float) -> list[Lapse]:
        """Return the bindings that ended unrefreshed, with those that nobody came for again at the end."""
        return [*self.counts.lapses.last, *self._overdue(now)]

    def bound(self, now: float) -> int:
        """Return how many bindings are good."""
        return sum(user.expires_at is not None and user.expires_at > now for user in self.users.values())

    def overdue(self, now: float) -> int:
        """Return how many bindings ended and nobody came for them again."""
        return sum(user.expires_at is not None and user.expires_at <= now for user in self.users.values())

    def forget(self, now: float) -> None:
        """Lose every binding and nonce, as a restart without a database does."""
        for lapse in self._overdue(now):
            self.counts.lapses.note(lapse)
        for user in self.users.values():
            user.expires_at, user.nonce = None, b""

    def reset(self) -> None:
        """Count from zero again; bindings stay."""
        self.counts = Counts()
        for user in self.users.values():
            user.times = []

    def _overdue(self, now: float) -> list[Lapse]:
        return [
            Lapse(name.decode(errors="replace"), user.expires_at, now - user.expires_at, user.granted)
            for name, user in self.users.items()
            if user.expires_at is not None and user.expires_at <= now
        ]

    def _lost(self) -> bool:
        loss = self.faults.loss
        return loss > 0 and self._random.random() < loss

    def _note(self, user: User, register: Register, now: float) -> None:
        counts = self.counts
        counts.registers += 1
        counts.rate.note(now)
        if user.call_id != register.call_id:
            counts.call_ids_changed += bool(user.call_id)
        elif register.cseq <= user.cseq:
            counts.cseq_back += 1
            self._odd(register, now, f"CSeq {register.cseq} after {user.cseq}, whose Contact was {user.contact!r}")
        user.call_id, user.cseq, user.via = register.call_id, register.cseq, register.via
        user.times = [time for time in user.times if time > now - STORM_PERIOD]
        user.times.append(now)
        if len(user.times) > counts.most_in_20_s:
            counts.most_in_20_s = len(user.times)
        if len(user.times) > STORM:
            self._odd(register, now, f"number {len(user.times)} in {now - user.times[0]:.1f} s, CSeq {register.cseq}")

    def _odd(self, register: Register, now: float, what: str) -> None:
        name, contact = (text.decode(errors="replace") for text in (register.user, register.contact))
        self.counts.oddities.append(Oddity(name, now, f"{what}, from {contact}"))

    def _answer(self, user: User, register: Register, source: Source, now: float) -> bytes:
        faults = self.faults
        if faults.code and self._random.random() < faults.share:
            return self._refuse(register, source)
        if faults.challenge is not Challenge.NONE and not self._authorized(user, register):
            return self._challenge(user, register, source)
        if not register.contact or register.expires == 0:
            return self._unbind(user, register, source)
        asked = self._expires if register.expires is None else register.expires
        if faults.min_expires is not None and asked < faults.min_expires:
            self.counts.refused += 1
            return wire.answer(register, b"423 Interval Too Brief", source, b"Min-Expires: %d" % faults.min_expires)
        return self._bind(
            user, register, min(asked, self._expires) if faults.grant is None else faults.grant, source, now
        )

    def _refuse(self, register: Register, source: Source) -> bytes:
        faults = self.faults
        self.counts.refused += 1
        lines = [] if faults.retry_after is None else [b"Retry-After: %d" % faults.retry_after]
        if faults.min_expires is not None:
            lines.append(b"Min-Expires: %d" % faults.min_expires)
        return wire.answer(register, b"%d Simulated" % faults.code, source, *lines)

    def _challenge(self, user: User, register: Register, source: Source) -> bytes:
        self.counts.challenges += 1
        self._nonces += 1
        stale = self.faults.challenge is Challenge.ENDLESS or (user.nonce and user.nc)
        user.nonce, user.nc = b"%08x" % self._nonces, 0
        if self.faults.challenge is Challenge.REFUSE:
            stale = False
        line = b'WWW-Authenticate: Digest realm="%s", nonce="%s", algorithm=MD5, qop="auth"%s' % (
            self._realm, user.nonce, b", stale=true" if stale else b"",
        )  # fmt: skip
        return wire.answer(register, b"401 Unauthorized", source, line)

    def _authorized(self, user: User, register: Register) -> bool:
        if not register.authorization or self.faults.challenge in {Challenge.REFUSE, Challenge.ENDLESS}:
            return False
        given = wire.credentials(register.authorization)
        count = int(given.get(b"nc", b"0"), 16)
        limit = 1 if self.faults.challenge is Challenge.ONE_USE else self._nonce_uses
        if given.get(b"nonce") != user.nonce or count <= user.nc or (limit and count > limit):
            return False
        if given.get(b"response") != self._expected(user, register, given):
            self.counts.wrong_credentials += 1
            user.nonce = b""
            return False
        user.nc = count
        return True

    def _expected(self, user: User, register: Register, given: dict[bytes, bytes]) -> bytes:
        if not user.secret:
            user.secret = _md5(b"%s:%s:%s" % (given.get(b"username", b""), self._realm, self._password))
        middle = user.nonce
        if b"nc" in given:
            middle += b":%s:%s:auth" % (given[b"nc"], given.get(b"cnonce", b""))
        return _md5(b"%s:%s:%s" % (user.secret, middle, _md5(b"REGISTER:" + register.uri)))

    def _unbind(self, user: User, register: Register, source: Source) -> bytes:
        if register.contact and user.expires_at is not None:
            user.expires_at = None
            self.counts.unregistrations += 1
        return wire.answer(register, b"200 OK", source)

    def _bind(self, user: User, register: Register, granted: int, source: Source, now: float) -> bytes:
        counts = self.counts
        if user.expires_at is None:
            counts.registrations += 1
        else:
            counts.refreshes += 1
            left = user.expires_at - now
            counts.early += left > user.granted / 2
            if left < 0:
                name = register.user.decode(errors="replace")
                counts.lapses.note(Lapse(name, user.expires_at, -left, user.granted))
        counts.accepted_rate.note(now)
        user.expires_at, user.granted, user.contact, user.bound_at = now + granted, granted, register.contact, now
        if not self.faults.lists_contact:
            return wire.answer(register, b"200 OK", source, b"Expires: %d" % granted)
        return wire.answer(register, b"200 OK", source, b"Contact: <%s>;expires=%d" % (register.contact, granted))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
