"""REGISTER at the sandbox PBX, without sockets and with the time as a number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.location import MAX_BINDINGS, Location
from dialog_sandbox.pbx.registrar import Registrar
from dialog_sip import RemoteProtocolError, Request, Response
from dialog_sip.digest import DigestClient
from pydantic import SecretStr

NOW = 1000.0


class Client:
    """A user agent that answers challenges."""

    def __init__(self, registrar: Registrar[str], user: str = "434", password: str = "pw", call_id: str = "c1") -> None:
        self.registrar, self.user, self.password, self.call_id = registrar, user, password, call_id
        self.digest, self.cseq = DigestClient(user), 0

    def register(self, *contacts: str, now: float = NOW, cseq: int | None = None, **headers: str) -> Response:
        for _ in range(2):
            self.cseq = self.cseq + 1 if cseq is None else cseq
            request = Request(
                "REGISTER",
                "sip:pbx",
                [
                    ("Via", "SIP/2.0/UDP x;branch=z9hG4bK1"), ("From", f"<sip:{self.user}@pbx>;tag=t"),
                    ("To", f"<sip:{self.user}@pbx>"), ("Call-ID", self.call_id), ("CSeq", f"{self.cseq} REGISTER"),
                    *(("Contact", contact) for contact in contacts), *headers.items(),
                ],
            )  # fmt: skip
            self.digest.authorize(request, self.password)
            response = self.registrar.register(request, "flow", now)
            if response.code != 401:
                break
            self.digest.learn(response)
        return response


def make(grant: int = 100, minimum: int = 0) -> tuple[Client, Location[str]]:
    location: Location[str] = Location()
    return Client(Registrar("pbx", Accounts(SecretStr("pw")), location, grant, minimum)), location


def test_grants_what_it_may_and_lists_all_bindings() -> None:
    client, location = make()
    client.register("<sip:434@a>;expires=50")
    response = client.register("<sip:434@b>", Expires="9999")
    assert [(str(contact.uri), contact.expires) for contact in response.contacts] == [
        ("sip:434@a", 50),
        ("sip:434@b", 100),
    ]
    assert [bound.uri for bound in location.find("434", NOW + 49)] == ["sip:434@a", "sip:434@b"]
    assert [bound.uri for bound in location.find("434", NOW + 51)] == ["sip:434@b"]
    assert location.find("434", NOW + 101) == ()
    assert location.knows("434")


def test_no_expires_means_the_longest() -> None:
    client, _ = make()
    assert client.register("<sip:434@a>").contacts[0].expires == 100


def test_a_query_changes_nothing() -> None:
    client, _ = make()
    client.register("<sip:434@a>")
    assert len(client.register().contacts) == 1


def test_unbinding_one_and_all() -> None:
    client, location = make()
    client.register("<sip:434@a>", "<sip:434@b>")
    assert [str(contact.uri) for contact in client.register("<sip:434@a>;expires=0").contacts] == ["sip:434@b"]
    client.register("*", Expires="0")
    assert location.find("434", NOW) == ()


def test_too_short_is_answered_423_but_zero_unbinds() -> None:
    client, _ = make(minimum=60)
    response = client.register("<sip:434@a>;expires=30")
    assert (response.code, response.headers.get("Min-Expires")) == (423, "60")
    assert client.register("<sip:434@a>;expires=0").code == 200


def test_a_cseq_that_goes_back_is_refused() -> None:
    client, _ = make()
    client.register("<sip:434@a>", cseq=9)
    with pytest.raises(RemoteProtocolError) as caught:
        client.register("<sip:434@a>", cseq=8)
    assert caught.value.status == 500


def test_bindings_are_bounded() -> None:
    client, _ = make()
    for number in range(MAX_BINDINGS):
        assert client.register(f"<sip:434@h{number}>").code == 200
    assert client.register("<sip:434@another>").code == 403


def test_wrong_credentials() -> None:
    client, location = make()
    assert Client(client.registrar, password="other").register("<sip:434@a>").code == 403
    assert not location.knows("434")


def test_an_old_nonce_is_stale() -> None:
    client, _ = make()
    client.register("<sip:434@a>")
    assert client.register("<sip:434@a>", now=NOW + 10_000).code == 200


def test_a_closed_flow_takes_its_bindings() -> None:
    client, location = make()
    client.register("<sip:434@a>")
    location.drop_flow("another")
    assert list(location.items(NOW))
    location.drop_flow("flow")
    assert not list(location.items(NOW))


def test_accounts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps({"434": "own"}))
    assert Accounts.read(path, None).password_of("434") == "own"
    assert Accounts.read(path, None).password_of("435") is None
    assert Accounts.read(path, SecretStr("common")).password_of("435") == "common"
    path.write_text('{"434": ["own"]}')
    with pytest.raises(SandboxError) as caught:
        Accounts.read(path, None)
    assert "own" not in str(caught.value)
