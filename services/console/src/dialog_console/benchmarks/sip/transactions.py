"""A REGISTER as client, without a socket: request, 401, credentials, 200; and what a transaction that waits weighs."""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import dataclass

from dialog_sip import Request, Response, parse_message
from dialog_sip.digest import DigestClient
from dialog_sip.registration import Account, Register, Registration, RegistrationSettings
from dialog_sip.registration.answer import plain_grant
from dialog_sip.transactions.express import ExpressTransactions

PAIRS, ROUNDS = 500, 8
WAITING = 5000
_VIA = "SIP/2.0/UDP 192.0.2.1:5060;rport;branch="
_CHALLENGE = 'Digest realm="pbx.example.com", nonce="5f3a7c0912be4d68", algorithm=MD5, qop="auth"'
PASSWORD = "not a secret"  # noqa: S105 - of nobody

Lane = ExpressTransactions[str, str]


@dataclass(slots=True)
class _User:
    """One user on the way to a binding."""

    contact: str
    digest: DigestClient
    register: Register
    granted: int = 0


def core_microseconds() -> float:
    """Return the microseconds of core of one registration: both transactions, the digest, what was granted.

    The users go through it in step, so that nothing of what the server does is counted.
    """
    return min(_round() for _ in range(ROUNDS)) / PAIRS * 1e6


def _round() -> float:
    lane: Lane = ExpressTransactions()
    settings = RegistrationSettings()
    users = [_user(serial, settings) for serial in range(PAIRS)]
    clock = time.process_time
    began = clock()
    sent = [_begin(lane, user) for user in users]
    spent = clock() - began
    refusals = [answer(data, 401) for data in sent]
    began = clock()
    sent = [_authorize(lane, user, data) for user, data in zip(users, refusals, strict=True)]
    spent += clock() - began
    grants = [answer(data, 200) for data in sent]
    began = clock()
    for user, data in zip(users, grants, strict=True):
        _bind(lane, user, data)
    spent += clock() - began
    if not all(user.granted for user in users):
        raise RuntimeError("somebody is not registered")
    return spent


def _user(serial: int, settings: RegistrationSettings) -> _User:
    account = Account(f"sip:{serial}@pbx.example.com", "sip:pbx.example.com")
    contact = f"sip:{serial}@192.0.2.1:5060"
    registration = Registration(account, settings, call_id=f"{serial:08x}", contact=contact)
    registration.start(0.0)
    return _User(contact, DigestClient(str(serial)), registration.register(0.0))


def _begin(lane: Lane, user: _User) -> bytes:
    return _send(lane, user.register)


def _authorize(lane: Lane, user: _User, refusal: bytes) -> bytes:
    user.digest.learn(_receive(lane, refusal))
    user.register.cseq += 1
    user.register.authorize(user.digest, PASSWORD)
    return _send(lane, user.register)


def _bind(lane: Lane, user: _User, grant: bytes) -> None:
    response = _receive(lane, grant)
    user.digest.note_success(response)
    user.granted = plain_grant(response, user.contact) or 0


def _send(lane: Lane, register: Register) -> bytes:
    branch = lane.new_branch()
    data = register.encode(_VIA + branch)
    lane.begin(branch, data, "flow", "owner", 0.0, reliable=False)
    return data


def _receive(lane: Lane, data: bytes) -> Response:
    pending = lane.find(data)
    message = parse_message(data)
    if pending is None or not isinstance(message, Response):
        raise RuntimeError("the answer is not one to our request")
    lane.end(pending)
    return message


def answer(data: bytes, code: int) -> bytes:
    """Be the server."""
    request = parse_message(data)
    if not isinstance(request, Request):
        raise TypeError("not a request")
    contact = (request.headers.get("Contact") or "").partition(";")[0]
    more = [("WWW-Authenticate", _CHALLENGE)] if code == 401 else [("Contact", f"{contact};expires=1800")]
    return request.respond(code, headers=more).encode()


def idle_bytes() -> float:
    """Return the bytes that one REGISTER on its way takes until it is answered, with what is sent again."""
    lane: Lane = ExpressTransactions()
    account = Account("sip:1@pbx.example.com", "sip:pbx.example.com")
    registration = Registration(account, RegistrationSettings(), call_id="1", contact="sip:1@192.0.2.1:5060")
    registration.start(0.0)
    text = registration.register(0.0).encode()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(WAITING):
        branch = lane.new_branch()
        lane.begin(branch, b"Via: " + branch.encode() + b"\r\n" + text, "flow", "owner", 0.0, reliable=False)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / WAITING
