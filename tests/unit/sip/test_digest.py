"""Digest authentication, checked against values computed here with hashlib and those of RFC 7616 section 3.9."""

import hashlib

import pytest
from dialog_sip import RemoteProtocolError, Request, Response, parse_message
from dialog_sip.digest import (
    Algorithm,
    Challenge,
    Credentials,
    DigestClient,
    DigestServer,
    Outcome,
    Qop,
    Verdict,
    challenges_of,
    digest_response,
    mask_credentials,
)

PASSWORD = "open sesame"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sha512_256(text: str) -> str:
    return hashlib.new("sha512_256", text.encode()).hexdigest()


def refusal(*challenges: str, code: int = 401) -> Response:
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    return Response(code, headers=[(name, challenge) for challenge in challenges])


def register() -> Request:
    return Request("REGISTER", "sip:example.com", [("CSeq", "1 REGISTER")])


def credentials_of(request: Request, name: str = "Authorization") -> Credentials:
    value = request.headers.get(name)
    assert value is not None
    return Credentials.parse(value)


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="a", nonce="{}", algorithm=MD5, qop="auth", opaque="o"',
        'Digest nonce="{}", realm="a", stale=true',
        'Digest realm="a nonce=", nonce="{}", realm="b"',
        'Digest realm="a", cnonce="x", nonce="{}"',
        'Digest realm="a", nonce="{}", nonce="again"',
        'Digest realm="a nonce=""{}", qop="auth-int"',
        'digest realm="a",nonce="{}" , qop=auth',
        'Digest realm="a", nonce="{}, algorithm=SHA-256',
        'Digest realm="a", opaque="nonce=", nonce="{}"',
        'Basic realm="a", Digest realm="b", nonce="{}"',
    ],
)
@pytest.mark.parametrize("nonce", ["n1", "n2", "", "with, comma", 'a\\"b', "\0", "x=y"])
def test_a_challenge_is_the_same_whether_its_like_was_seen_or_not(value: str, nonce: str) -> None:
    given = value.replace("{}", nonce)
    # Too long to be remembered, and so read from its start to its end.
    padded = f'{given}, padding="{"p" * 1000}"'
    once, twice = challenges_of(refusal(given)), challenges_of(refusal(given))
    assert once == twice == challenges_of(refusal(padded))


RFC_7616 = {
    "username": "Mufasa",
    "realm": "http-auth@example.org",
    "password": "Circle of Life",
    "method": "GET",
    "uri": "/dir/index.html",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "nc": "00000001",
}


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm.SHA_256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_values_of_the_rfc(algorithm: Algorithm, expected: str) -> None:
    assert digest_response(algorithm, **RFC_7616) == expected


@pytest.mark.parametrize(
    ("algorithm", "hashed"), [(Algorithm.MD5, md5), (Algorithm.SHA_256, sha256), (Algorithm.SHA_512_256, sha512_256)]
)
def test_the_formula_with_and_without_qop(algorithm: Algorithm, hashed: object) -> None:
    assert callable(hashed)
    parts = {"username": "ü", "realm": "r", "password": "p:q", "method": "REGISTER", "uri": "sip:h", "nonce": "n"}
    secret, action = hashed("ü:r:p:q"), hashed("REGISTER:sip:h")
    assert digest_response(algorithm, **parts) == hashed(f"{secret}:n:{action}")
    with_qop = digest_response(algorithm, **parts, cnonce="c", nc="0000000a")
    assert with_qop == hashed(f"{secret}:n:0000000a:c:auth:{action}")


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        (None, Algorithm.MD5),
        ("md5", Algorithm.MD5),
        ("SHA-256", Algorithm.SHA_256),
        ("sha-512-256", Algorithm.SHA_512_256),
        ("MD5-sess", Algorithm.MD5_SESS),
        ("MD5-other", None),
        ("", None),
    ],
)
def test_names_of_algorithms(name: str | None, algorithm: Algorithm | None) -> None:
    assert Algorithm.of(name) is algorithm


class TestChallenges:
    def test_one_is_read(self) -> None:
        [found] = challenges_of(
            refusal(
                'Digest  realm="a \\"b\\", c" , nonce="n=,1", algorithm=SHA-256,qop="auth-int, auth", '
                'opaque="", stale=TRUE'
            )
        )
        assert found == Challenge(
            'a "b", c', "n=,1", Algorithm.SHA_256, (Qop.AUTH_INT, Qop.AUTH), opaque="", stale=True
        )
        assert found.qop is Qop.AUTH

    def test_what_is_written_is_read(self) -> None:
        challenge = Challenge('r"x', "n", Algorithm.SHA_512_256, opaque="o", stale=True)
        assert challenges_of(refusal(str(challenge))) == [challenge]
        old = Challenge("r", "n", qops=(), names_algorithm=False)
        assert challenges_of(refusal(str(old))) == [old]
        assert str(old) == 'Digest realm="r", nonce="n"'

    def test_the_strongest_of_a_realm_is_chosen(self) -> None:
        offers = [
            f'Digest realm="r", nonce="{name}", algorithm={name}' for name in ("MD5", "SHA-256", "SHA-512-256", "MD5")
        ]
        assert [found.nonce for found in challenges_of(refusal(*offers))] == ["SHA-512-256"]
        assert [found.nonce for found in challenges_of(refusal(*offers[:2]))] == ["SHA-256"]

    def test_every_realm_is_answered(self) -> None:
        response = refusal('Digest realm="a", nonce="1"', 'Digest realm="b", nonce="2"')
        response.headers.add("Proxy-Authenticate", 'Digest realm="a", nonce="3"')
        assert [(found.realm, found.proxy) for found in challenges_of(response)] == [
            ("a", False),
            ("b", False),
            ("a", True),
        ]

    def test_several_in_one_line(self) -> None:
        response = refusal('Digest realm="a", nonce="1", Basic realm="x", Digest realm="b", nonce="2"')
        assert [found.realm for found in challenges_of(response)] == ["a", "b"]

    @pytest.mark.parametrize(
        "value",
        [
            "",
            'Basic realm="x"',
            'Digest realm="r"',
            'Digest nonce="n"',
            'Digest realm="r", nonce="n", algorithm=AKAv1-MD5',
            'Digest realm="r", nonce="n", qop="auth-more"',
            'Digest realm="r, nonce="n"',
            "Digest",
        ],
    )
    def test_what_cannot_be_answered_is_left_out(self, value: str) -> None:
        assert challenges_of(refusal(value)) == []


class TestClient:
    def test_nothing_is_known_at_first(self) -> None:
        client, request = DigestClient("alice"), register()
        assert not client.authorize(request, PASSWORD)
        assert "Authorization" not in request.headers

    def test_a_challenge_is_answered(self) -> None:
        client, request = DigestClient("alice"), register()
        assert (
            client.learn(refusal('Digest realm="r", nonce="n", qop="auth", algorithm=MD5, opaque="o"')) is Outcome.RETRY
        )
        assert client.authorize(request, PASSWORD)
        answer = credentials_of(request)
        secret, action = md5(f"alice:r:{PASSWORD}"), md5("REGISTER:sip:example.com")
        assert answer.response == md5(f"{secret}:n:00000001:{answer.cnonce}:auth:{action}")
        assert (answer.username, answer.realm, answer.nonce, answer.uri) == ("alice", "r", "n", "sip:example.com")
        assert (answer.opaque, answer.nc, answer.algorithm) == ("o", "00000001", Algorithm.MD5)

    def test_the_quoting_is_that_of_the_grammar(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'))
        client.authorize(request, PASSWORD)
        value = request.headers.get("Authorization") or ""
        assert 'username="alice"' in value
        assert "algorithm=SHA-256, " in value
        assert "qop=auth, nc=00000001" in value

    def test_a_server_of_rfc_2069(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="n"'))
        client.authorize(request, PASSWORD)
        answer = credentials_of(request)
        assert (answer.cnonce, answer.nc, answer.algorithm) == (None, None, None)
        assert answer.response == md5(f"{md5(f'alice:r:{PASSWORD}')}:n:{md5('REGISTER:sip:example.com')}")

    def test_a_nonce_is_used_again_with_a_higher_count(self) -> None:
        client = DigestClient("alice")
        client.learn(refusal('Digest realm="r", nonce="n", qop="auth"'))
        seen = []
        for _ in range(3):
            request = register()
            client.authorize(request, PASSWORD)
            seen.append(credentials_of(request))
        assert [answer.nc for answer in seen] == ["00000001", "00000002", "00000003"]
        assert len({answer.cnonce for answer in seen}) == 3

    def test_old_credentials_are_replaced(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="n"'))
        client.authorize(request, PASSWORD)
        client.authorize(request, PASSWORD)
        assert len(request.headers.get_all("Authorization")) == 1

    def test_407_is_answered_in_its_own_header(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="n"', code=407))
        client.authorize(request, PASSWORD)
        assert credentials_of(request, "Proxy-Authorization").realm == "r"
        assert "Authorization" not in request.headers

    def test_proxy_and_server_are_answered_together(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="p", nonce="1"', code=407))
        client.authorize(request, PASSWORD)
        assert client.learn(refusal('Digest realm="s", nonce="2"')) is Outcome.RETRY
        client.authorize(request, PASSWORD)
        assert credentials_of(request, "Proxy-Authorization").realm == "p"
        assert credentials_of(request).realm == "s"

    def test_a_fresh_nonce_that_is_refused_means_a_wrong_password(self) -> None:
        client = DigestClient("alice")
        client.learn(refusal('Digest realm="r", nonce="1"'))
        client.authorize(register(), PASSWORD)
        assert client.learn(refusal('Digest realm="r", nonce="2"')) is Outcome.WRONG_PASSWORD
        # Nothing stays behind: somebody may set the password right.
        assert client.learn(refusal('Digest realm="r", nonce="3"')) is Outcome.RETRY

    def test_a_stale_nonce_does_not(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="1"'))
        client.authorize(register(), PASSWORD)
        assert client.learn(refusal('Digest realm="r", nonce="2", stale=true')) is Outcome.RETRY
        client.authorize(request, PASSWORD)
        assert credentials_of(request).nonce == "2"

    def test_nor_does_an_old_nonce_of_a_server_that_does_not_say_stale(self) -> None:
        client = DigestClient("alice")
        client.learn(refusal('Digest realm="r", nonce="1"'))
        client.authorize(register(), PASSWORD)
        client.authorize(register(), PASSWORD)
        assert client.learn(refusal('Digest realm="r", nonce="2"')) is Outcome.RETRY

    def test_without_a_challenge_that_is_understood(self) -> None:
        assert DigestClient("alice").learn(refusal('Basic realm="r"')) is Outcome.UNSUPPORTED

    def test_the_next_nonce_is_taken_over(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal('Digest realm="r", nonce="1", qop="auth"'))
        client.authorize(register(), PASSWORD)
        client.note_success(Response(200, headers=[("Authentication-Info", 'nextnonce="2", qop=auth')]))
        client.authorize(request, PASSWORD)
        assert (credentials_of(request).nonce, credentials_of(request).nc) == ("2", "00000001")
        client.note_success(Response(200))
        client.note_success(Response(200, headers=[("Authentication-Info", "qop=auth")]))
        client.note_success(Response(200, headers=[("Authentication-Info", 'nextnonce="broken')]))

    def test_realms_are_bounded(self) -> None:
        client, request = DigestClient("alice"), register()
        client.learn(refusal(*[f'Digest realm="{number}", nonce="n"' for number in range(50)]))
        for number in range(50):
            client.learn(refusal(f'Digest realm="more{number}", nonce="n"'))
        client.authorize(request, PASSWORD)
        assert len(request.headers.get_all("Authorization")) == 8


class TestServer:
    def exchange(self, server: DigestServer, password: str = PASSWORD, *, at: float = 1000.0) -> Request:
        client, request = DigestClient("alice"), register()
        client.learn(Response(401, headers=server.challenge(at)))
        client.authorize(request, password)
        return request

    @pytest.mark.parametrize("algorithm", list(Algorithm))
    def test_the_right_password(self, algorithm: Algorithm) -> None:
        server = DigestServer("r", [algorithm])
        assert server.verify(self.exchange(server), lambda _: PASSWORD, 1001.0) is Verdict.OK

    def test_the_proxys_headers(self) -> None:
        server = DigestServer("r", proxy=True)
        [(name, _), _] = server.challenge(1.0)
        assert name == "Proxy-Authenticate"
        assert server.verify(self.exchange(server), lambda _: PASSWORD, 1001.0) is Verdict.OK

    def test_the_preferred_algorithm_comes_first(self) -> None:
        values = [value for _, value in DigestServer("r").challenge(1.0, stale=True)]
        assert "SHA-256" in values[0]
        assert "MD5" in values[1]
        assert all("stale=true" in value for value in values)

    def test_wrong_passwords_and_unknown_users(self) -> None:
        server = DigestServer("r")
        assert server.verify(self.exchange(server, "guess"), lambda _: PASSWORD, 1001.0) is Verdict.WRONG
        assert server.verify(self.exchange(server), lambda _: None, 1001.0) is Verdict.WRONG

    def test_no_credentials_or_those_of_another_realm(self) -> None:
        server = DigestServer("r")
        assert server.verify(register(), lambda _: PASSWORD, 1.0) is Verdict.MISSING
        assert server.verify(self.exchange(DigestServer("s")), lambda _: PASSWORD, 1.0) is Verdict.MISSING
        request = register()
        request.headers.add("Authorization", 'Digest realm="r"')
        assert server.verify(request, lambda _: PASSWORD, 1.0) is Verdict.MISSING

    def test_a_nonce_grows_old(self) -> None:
        server = DigestServer("r", nonce_life=60.0)
        request = self.exchange(server, at=1000.0)
        assert server.verify(request, lambda _: PASSWORD, 1060.0) is Verdict.OK
        assert server.verify(request, lambda _: PASSWORD, 1061.0) is Verdict.STALE
        wrong = self.exchange(server, "guess", at=1000.0)
        assert server.verify(wrong, lambda _: PASSWORD, 1061.0) is Verdict.WRONG

    @pytest.mark.parametrize("nonce", ["", "x", "zz.1.0", "3e8.abc." + "0" * 32, "\udcff"])
    def test_a_nonce_has_to_be_ours(self, nonce: str) -> None:
        """As after a restart: who knows the password is challenged anew, not turned away."""
        server, client, request = DigestServer("r"), DigestClient("alice"), register()
        client.learn(Response(401, headers=[("WWW-Authenticate", str(Challenge("r", nonce, Algorithm.SHA_256)))]))
        client.authorize(request, PASSWORD)
        assert server.verify(request, lambda _: PASSWORD, 1.0) is Verdict.STALE

    def test_a_nonce_of_another_does_not_help_who_has_the_wrong_password(self) -> None:
        request = self.exchange(DigestServer("r"), "guess")
        assert DigestServer("r").verify(request, lambda _: PASSWORD, 1001.0) is Verdict.WRONG

    def test_servers_that_share_a_key_share_nonces(self) -> None:
        one, two = DigestServer("r", key=b"k" * 16), DigestServer("r", key=b"k" * 16)
        assert two.verify(self.exchange(one), lambda _: PASSWORD, 1001.0) is Verdict.OK

    def test_an_answer_is_good_for_its_own_request_only(self) -> None:
        server = DigestServer("r")
        request = self.exchange(server)
        request.uri = "sip:elsewhere"
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.WRONG
        request = self.exchange(server)
        request.method = "INVITE"
        assert server.verify(request, lambda _: PASSWORD, 1001.0) is Verdict.WRONG

    def test_an_algorithm_that_was_not_offered(self) -> None:
        strict, lax = DigestServer("r", [Algorithm.SHA_256], key=b"k"), DigestServer("r", [Algorithm.MD5], key=b"k")
        assert strict.verify(self.exchange(lax), lambda _: PASSWORD, 1001.0) is Verdict.WRONG


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic abc",
        "Digest",
        'Digest username="a"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth-more, nc=00000001',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=1, cnonce="c"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth, nc=00000001',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm=MD5-sess',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", qop=auth',
        'Digest username="a", realm="r", nonce="n", uri="u", response="x", algorithm=rot13',
        'Digest username="a',
    ],
)
def test_malformed_credentials(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Credentials.parse(value)


def test_nothing_shows_a_digest_or_a_password() -> None:
    client, request = DigestClient("alice"), register()
    client.learn(refusal('Digest realm="r", nonce="n"'))
    client.authorize(request, PASSWORD)
    answer = credentials_of(request)
    for shown in (repr(answer), repr(client), repr(request), repr(DigestServer("r", key=b"secret key"))):
        assert PASSWORD not in shown
        assert answer.response not in shown
        assert "secret" not in shown


def test_traces_are_masked() -> None:
    data = (
        b"REGISTER sip:alice:hunter2@h SIP/2.0\r\n"
        b'AUTHORIZATION : Digest username="a",\r\n response="deadbeef"\r\n'
        b'Proxy-Authorization: Digest response="deadbeef"\r\n'
        b"To: <sip:h:5060>;x=a@b\r\n"
        b"\r\nAuthorization: in the body"
    )
    masked = mask_credentials(data)
    assert b"deadbeef" not in masked
    assert b"hunter2" not in masked
    assert masked == (
        b"REGISTER sip:alice:***@h SIP/2.0\r\nAUTHORIZATION : ***\r\nProxy-Authorization: ***\r\n"
        b"To: <sip:h:5060>;x=a@b\r\n\r\nAuthorization: in the body"
    )
    assert parse_message(masked)


def test_traces_are_masked_where_lines_end_with_lf_alone() -> None:
    data = b'REGISTER sip:h SIP/2.0\nAuthorization: Digest username="a",\n response="deadbeef"\nTo: <sip:h>\n\n'
    assert mask_credentials(data) == b"REGISTER sip:h SIP/2.0\nAuthorization: ***\nTo: <sip:h>\n\n"


def test_masking_leaves_other_messages_alone() -> None:
    for data in (b"", b"\r\n", b"OPTIONS sip:a@h SIP/2.0\r\nTo: <sip:b@h:5060;lr>\r\n\r\n"):
        assert mask_credentials(data) == data
