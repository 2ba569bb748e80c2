"""Digest by RFC 7616 and RFC 8760 in full: sessions, auth-int, userhash, UTF-8, proofs, next nonces, replays."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from dialog_sip import Request, Response
from dialog_sip.digest import (
    Algorithm,
    AuthenticationInfo,
    Challenge,
    Credentials,
    DigestClient,
    DigestServer,
    Outcome,
    Qop,
    ReplayGuard,
    ServerProof,
    Verdict,
    challenges_of,
    digest_response,
    hashed_username,
)

PASSWORD = "open sesame"


def hashed(algorithm: Algorithm, data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    name = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[algorithm.value.removesuffix("-sess")]
    return hashlib.new(name, raw).hexdigest()


def invite(body: bytes = b"v=0") -> Request:
    return Request("INVITE", "sip:bob@example.com", [("CSeq", "1 INVITE")], body)


def credentials(request: Request, name: str = "Authorization") -> Credentials:
    return Credentials.parse(request.headers.get(name) or "")


def refusal(*values: str, proxy: bool = False) -> Response:
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    return Response(407 if proxy else 401, headers=[(name, value) for value in values])


RFC_7616_3_9_2 = {
    "username": "Jäsøn Doe", "realm": "api@example.org", "password": "Secret, or not?", "method": "GET",
    "uri": "/doe.json", "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
    "cnonce": "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm", "nc": "00000001",
}  # fmt: skip


class TestVectors:
    def test_userhash_of_rfc_7616_with_its_erratum(self) -> None:
        # The text of section 3.9.2 cut SHA-512 to 256 bits; SHA-512/256 gives what its erratum says.
        found = hashed_username(Algorithm.SHA_512_256, "Jäsøn Doe", "api@example.org")
        assert found == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        assert hashlib.sha512("Jäsøn Doe:api@example.org".encode()).hexdigest()[:64] == (
            "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec"
        )

    @pytest.mark.parametrize("algorithm", Algorithm)
    @pytest.mark.parametrize("qop", Qop)
    def test_the_formula(self, algorithm: Algorithm, qop: Qop) -> None:
        v = RFC_7616_3_9_2
        secret = hashed(algorithm, f"{v['username']}:{v['realm']}:{v['password']}")
        if algorithm.is_session:
            secret = hashed(algorithm, f"{secret}:{v['nonce']}:{v['cnonce']}")
        action = f"GET:{v['uri']}" + (f":{hashed(algorithm, b'body')}" if qop is Qop.AUTH_INT else "")
        middle = f"{v['nonce']}:{v['nc']}:{v['cnonce']}:{qop.value}"
        expected = hashed(algorithm, f"{secret}:{middle}:{hashed(algorithm, action)}")
        assert digest_response(algorithm, **v, qop=qop, body=b"body") == expected

    def test_rfc_2617_section_3_5(self) -> None:
        found = digest_response(
            Algorithm.MD5, username="Mufasa", realm="testrealm@host.com", password="Circle Of Life", method="GET",
            uri="/dir/index.html", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", cnonce="0a4f113b", nc="00000001",
        )  # fmt: skip
        assert found == "6629fae49393a05397450978507c4ef1"

    def test_a_session_without_qop(self) -> None:
        parts = {"username": "u", "realm": "r", "password": "p", "method": "M", "uri": "x", "nonce": "n"}
        secret = hashed(Algorithm.MD5, f"{hashed(Algorithm.MD5, 'u:r:p')}:n:c")
        expected = hashed(Algorithm.MD5, f"{secret}:n:{hashed(Algorithm.MD5, 'M:x')}")
        assert digest_response(Algorithm.MD5_SESS, **parts, cnonce="c") == expected


class TestChoice:
    def test_the_strongest_comes_first_and_of_equals_the_servers(self) -> None:
        offers = [
            f'Digest realm="r", nonce="{name}", algorithm={name}, qop="auth"'
            for name in ("MD5", "SHA-256-sess", "SHA-256", "SHA-512-256-SESS", "SHA-512-256")
        ]
        assert challenges_of(refusal(*offers))[0].algorithm is Algorithm.SHA_512_256_SESS
        assert challenges_of(refusal(*offers[:3]))[0].algorithm is Algorithm.SHA_256_SESS

    def test_auth_int_where_nothing_else_is_taken(self) -> None:
        [found] = challenges_of(refusal('Digest realm="r", nonce="n", qop="auth-int"'))
        assert found.qop is Qop.AUTH_INT
        [found] = challenges_of(refusal('Digest realm="r", nonce="n", qop="auth-int,auth"'))
        assert found.qop is Qop.AUTH

    def test_all_of_a_challenge_is_written_and_read(self) -> None:
        challenge = Challenge(
            'a "b"', "n", Algorithm.SHA_256_SESS, (Qop.AUTH, Qop.AUTH_INT), "o", userhash=True, utf8=True
        )
        assert challenges_of(refusal(str(challenge))) == [challenge]

    def test_unknown_parameters_are_ignored(self) -> None:
        [found] = challenges_of(refusal('Digest realm="r", domain="/ /x", nonce="n", foo=bar, qop="auth,bar"'))
        assert found.qops == (Qop.AUTH,)


class TestBothSides:
    def exchange(self, server: DigestServer, body: bytes = b"v=0", name: str = "alice") -> tuple[DigestClient, Request]:
        client, request = DigestClient(name), invite(body)
        assert client.learn(Response(401, headers=server.challenge(1000.0))) is Outcome.RETRY
        client.authorize(request, PASSWORD)
        return client, request

    @pytest.mark.parametrize("algorithm", Algorithm)
    @pytest.mark.parametrize("qop", Qop)
    def test_every_algorithm_and_quality(self, algorithm: Algorithm, qop: Qop) -> None:
        server = DigestServer("r", [algorithm], qops=[qop])
        client, request = self.exchange(server)
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.OK
        response = Response(200, headers=server.info(request, lambda _: PASSWORD, b"answer"), body=b"answer")
        assert client.proof(request, response, PASSWORD) is ServerProof.RIGHT
        assert client.proof(request, response, "other") is ServerProof.WRONG
        for _ in range(3):
            client.authorize(request, PASSWORD)
            assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.OK
        assert credentials(request).nc == "00000004"

    def test_a_body_that_was_changed_on_its_way(self) -> None:
        server = DigestServer("r", [Algorithm.SHA_256], qops=[Qop.AUTH_INT])
        client, request = self.exchange(server)
        request.body = b"v=1"
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.WRONG
        request.body = b"v=0"
        answer = Response(200, headers=server.info(request, lambda _: PASSWORD, b"one"), body=b"two")
        assert client.proof(request, answer, PASSWORD) is ServerProof.WRONG

    def test_no_proof_is_no_proof(self) -> None:
        server = DigestServer("r")
        client, request = self.exchange(server)
        assert client.proof(request, Response(200), PASSWORD) is ServerProof.NONE
        broken = Response(200, headers=[("Authentication-Info", 'nextnonce="x, rspauth=y')])
        assert client.proof(request, broken, PASSWORD) is ServerProof.NONE
        assert server.info(invite(), lambda _: PASSWORD) == []

    def test_a_quality_that_was_not_offered(self) -> None:
        lax = DigestServer("r", [Algorithm.MD5], qops=[Qop.AUTH_INT], key=b"k")
        strict = DigestServer("r", [Algorithm.MD5], key=b"k")
        _, request = self.exchange(lax)
        assert strict.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.WRONG

    def test_users_by_their_hash(self) -> None:
        name = "Jäsøn Doe"
        names = {hashed_username(algorithm, name, "r"): name for algorithm in Algorithm}
        server = DigestServer("r", [Algorithm.SHA_512_256], name_of_hash=lambda _, found: names.get(found))
        decomposed = unicodedata.normalize("NFD", name)
        assert decomposed != name
        _, request = self.exchange(server, name=decomposed)
        given = credentials(request)
        assert given.userhash
        assert "J" not in given.username
        assert server.verify(request, {name: PASSWORD}.get, 1001.0) is Verdict.OK
        plain = DigestServer("r", [Algorithm.SHA_512_256], key=b"k")
        assert plain.verify(request, {name: PASSWORD}.get, 1001.0) is Verdict.WRONG

    def test_the_next_nonce_of_a_server(self) -> None:
        server = DigestServer("r", [Algorithm.SHA_256_SESS])
        client, request = self.exchange(server)
        first = credentials(request)
        client.note_success(Response(200, headers=server.info(request, lambda _: PASSWORD, next_nonce_at=1200.0)))
        client.authorize(request, PASSWORD)
        again = credentials(request)
        assert (again.nonce != first.nonce, again.nc) == (True, "00000001")
        assert server.verify(request, lambda _: PASSWORD, 1400.0) is Verdict.OK

    def test_a_proxy_has_a_header_of_its_own(self) -> None:
        server = DigestServer("r", proxy=True)
        client, request = DigestClient("alice"), invite()
        client.learn(Response(407, headers=server.challenge(1000.0)))
        client.authorize(request, PASSWORD)
        [(name, value)] = server.info(request, lambda _: PASSWORD)
        assert name == "Proxy-Authentication-Info"
        assert client.proof(request, Response(200, headers=[(name, value)]), PASSWORD) is ServerProof.RIGHT
        # What a server says is no word of the proxy's.
        foreign = Response(200, headers=[("Authentication-Info", value)])
        assert client.proof(request, foreign, PASSWORD) is ServerProof.NONE

    def test_replays(self) -> None:
        server = DigestServer("r", guard=ReplayGuard(2))
        client, request = self.exchange(server)
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.OK
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.STALE
        client.authorize(request, PASSWORD)
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.OK

    def test_the_guard_is_bounded(self) -> None:
        guard = ReplayGuard(2)
        assert [guard.takes(nonce, 1) for nonce in "abca"] == [True, True, True, True]
        assert not guard.takes("c", 1)


class TestLoops:
    STALE = 'Digest realm="r", nonce="{}", stale=true, qop="auth"'

    def test_a_server_that_calls_every_nonce_stale_is_left(self) -> None:
        client, request, outcomes = DigestClient("alice"), invite(), []
        for number in range(10):
            outcomes.append(client.learn(refusal(self.STALE.format(number)), request))
            client.authorize(request, PASSWORD)
            if outcomes[-1] is Outcome.WRONG_PASSWORD:
                break
        assert outcomes[-1] is Outcome.WRONG_PASSWORD
        assert len(outcomes) <= 6

    def test_many_requests_with_an_old_nonce_at_once(self) -> None:
        client = DigestClient("alice")
        client.learn(refusal('Digest realm="r", nonce="old", qop="auth"'))
        requests = [invite() for _ in range(20)]
        for request in requests:
            client.authorize(request, PASSWORD)
        # The server forgot the nonce, and does not say "stale".
        for number, request in enumerate(requests):
            value = f'Digest realm="r", nonce="new{number}", qop="auth"'
            assert client.learn(refusal(value), request) is Outcome.RETRY
            client.authorize(request, PASSWORD)


def test_username_in_the_extended_form() -> None:
    value = 'Digest username*=UTF-8\'\'J%C3%A4s%C3%B8n%20Doe, realm="r", nonce="n", uri="u", response="x"'
    assert Credentials.parse(value).username == "Jäsøn Doe"


def test_information_is_written_and_read() -> None:
    info = AuthenticationInfo("n", "r", "c", "00000001", Qop.AUTH)
    assert AuthenticationInfo.parse(str(info)) == info
