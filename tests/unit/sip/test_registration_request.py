"""A REGISTER as text: what is in it, that it is the message it says it is, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from dialog_sip import LocalProtocolError, Request, Response, parse_message
from dialog_sip.digest import Credentials, DigestClient
from dialog_sip.registration import Account, Register
from dialog_sip.registration.request import build_register

ACCOUNT = Account("sip:alice@pbx.example", "sip:pbx.example")
VIA = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"


def register(**options: Any) -> Register:
    given = {"target": ACCOUNT.registrar, "call_id": "c1", "cseq": 7, "contact": "sip:alice@192.0.2.1", "expires": 60}
    return build_register(ACCOUNT, **(given | options))


def test_it_is_a_message_with_its_via_on_top() -> None:
    made = register(drop=("sip:alice@192.0.2.9",), also=("sip:alice@192.0.2.8",), user_agent="x/1")
    message = parse_message(made.encode(VIA))
    assert isinstance(message, Request)
    assert (message.method, message.uri, str(message.cseq)) == ("REGISTER", "sip:pbx.example", "7 REGISTER")
    assert str(message.via) == VIA
    assert [contact.expires for contact in message.contacts] == [60, 60, 0]
    message.headers.remove("Via")
    assert message == made.request()


def test_it_goes_out_again_with_credentials_and_its_next_number() -> None:
    made, digest = register(), DigestClient("alice")
    digest.learn(Response(401, headers=[("WWW-Authenticate", 'Digest realm="pbx", nonce="n", qop="auth"')]))
    before = made.request()
    made.cseq += 1
    made.authorize(digest, "secret")
    made.authorize(digest, "secret")
    after = made.request()
    assert after.headers.count("Authorization") == 1
    assert Credentials.parse(after.headers.get("Authorization") or "").use == 2
    after.headers.remove("Authorization")
    after.headers.set("CSeq", "7 REGISTER")
    assert after == before


@pytest.mark.parametrize(
    "options",
    [
        {"call_id": "c\r\nX: y"},
        {"contact": "sip:a\n"},
        {"drop": ("sip:a\r",)},
        {"user_agent": "x\r\n"},
        {"target": "\n"},
    ],
)
def test_a_line_break_goes_into_none(options: dict[str, Any]) -> None:
    with pytest.raises(LocalProtocolError, match="line break"):
        register(**options)
