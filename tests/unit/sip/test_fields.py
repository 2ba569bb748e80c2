"""Header fields of the extensions: what is read, what is written, and what hostile values do."""

from __future__ import annotations

import pytest
from dialog_sip import NameAddr, RemoteProtocolError, Request, Response, SipUri
from dialog_sip.fields import (
    ANONYMOUS,
    Caller,
    Digit,
    EventPackage,
    PrivacyLevel,
    Progress,
    RAck,
    Reason,
    ReferTarget,
    Refresher,
    Replaces,
    SessionExpires,
    SubscriptionState,
    Substate,
    caller_of,
    cause_of,
    digit_of,
    is_picked_up_elsewhere,
    min_se_of,
    privacy_headers,
    privacy_of,
    progress_of,
    rack_of,
    reasons_of,
    refer_headers,
    refer_target_of,
    referred_by_of,
    replaces_of,
    rseq_of,
    session_expires_of,
    wants_no_subscription,
)
from dialog_sip.fields.dtmf import dtmf_headers, takes_package
from hypothesis import given
from hypothesis import strategies as st


def request(*headers: tuple[str, str], method: str = "INVITE", body: bytes = b"") -> Request:
    return Request(method, "sip:bob@example.com", [("From", '"Ann" <sip:ann@example.com>;tag=1'), *headers], body)


class TestReason:
    def test_several(self) -> None:
        found = reasons_of(request(("Reason", 'Q.850;cause=16;text="a, b;c"'), ("Reason", "SIP ;cause=200")))
        assert found == (Reason("Q.850", 16, "a, b;c"), Reason("SIP", 200))
        assert str(found[0]) == 'Q.850;cause=16;text="a, b;c"'

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            ("SIP;cause=486", 486),
            ("SIP;cause=9", None),
            ("Q.850;cause=17", 486),
            ("q.850;cause=1", 404),
            ("Q.850;cause=16", None),
            ("Q.850", None),
            ("foo;cause=200", None),
        ],
    )
    def test_as_a_status(self, value: str, status: int | None) -> None:
        assert Reason.parse(value).status == status

    def test_what_cannot_be_read_is_left_out(self) -> None:
        assert reasons_of(request(("Reason", ";cause=1"))) == ()
        assert reasons_of(request(("Reason", 'SIP;text="open, SIP'))) == ()
        assert reasons_of(request(("Reason", "SIP;cause=9999999999"))) == (Reason("SIP"),)
        assert not is_picked_up_elsewhere(request())

    def test_causes(self) -> None:
        assert (cause_of(486), cause_of(404), cause_of(299)) == (17, 1, None)


class TestIdentity:
    def test_from_where_nothing_else_is_there(self) -> None:
        assert caller_of(request()) == Caller("Ann", "sip:ann@example.com")

    def test_an_asserted_identity_comes_first_if_it_is_trusted(self) -> None:
        message = request(
            ("P-Asserted-Identity", '"Ann Smith" <sip:+49@pbx>, <tel:+49>'), ("Remote-Party-ID", "<sip:r@pbx>")
        )
        assert caller_of(message) == Caller("Ann Smith", "sip:+49@pbx", is_asserted=True)
        assert caller_of(message, trusted=False).uri == "sip:ann@example.com"

    def test_remote_party_id(self) -> None:
        message = request(("Remote-Party-ID", '"R" <sip:r@pbx>;party=calling;privacy=off;screen=yes'))
        assert caller_of(message) == Caller("R", "sip:r@pbx", is_asserted=True)
        hidden = request(("Remote-Party-ID", '"R" <sip:r@pbx>;privacy=full'))
        assert caller_of(hidden) == Caller("", "", is_hidden=True, is_asserted=True)

    @pytest.mark.parametrize("value", ["id", "id;critical", "header, user", "ID"])
    def test_privacy_hides(self, value: str) -> None:
        message = request(("P-Asserted-Identity", "<sip:a@pbx>"), ("Privacy", value))
        assert caller_of(message) == Caller("", "", is_hidden=True, is_asserted=True)

    def test_privacy_none_does_not(self) -> None:
        assert privacy_of(request(("Privacy", "none"))) == {"none"}
        assert not caller_of(request(("Privacy", "none"))).is_hidden

    def test_an_anonymous_from(self) -> None:
        message = Request("INVITE", "sip:b@c", [("From", str(ANONYMOUS.with_tag("1")))])
        assert caller_of(message) == Caller("", "", is_hidden=True)

    def test_a_broken_identity_hurts_nobody(self) -> None:
        assert caller_of(request(("P-Asserted-Identity", "<sip:a"))).uri == "sip:ann@example.com"
        assert caller_of(request(("P-Asserted-Identity", '"x, <sip:a>'))).uri == "sip:ann@example.com"

    def test_what_we_write(self) -> None:
        levels = {PrivacyLevel.ID, PrivacyLevel.CRITICAL}
        assert privacy_headers(levels, NameAddr.make("sip:a@b")) == [
            ("P-Preferred-Identity", NameAddr.make("sip:a@b")),
            ("Privacy", "critical;id"),
        ]
        assert privacy_headers(()) == []


class TestReplacesAndRefer:
    def test_replaces(self) -> None:
        value = "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only"
        found = replaces_of(request(("Replaces", value)))
        assert found == Replaces("12adf2f34456gs5", "12345", "54321", early_only=True)
        assert str(found) == value
        assert replaces_of(request()) is None

    @pytest.mark.parametrize("value", ["", "x", "x;to-tag=1", ";to-tag=1;from-tag=2", "x;to-tag;from-tag=1"])
    def test_malformed(self, value: str) -> None:
        with pytest.raises(RemoteProtocolError):
            replaces_of(request(("Replaces", value)))

    def test_twice(self) -> None:
        value = "x;to-tag=1;from-tag=2"
        with pytest.raises(RemoteProtocolError):
            replaces_of(request(("Replaces", value), ("Replaces", value)))
        with pytest.raises(RemoteProtocolError):
            replaces_of(request(("Replaces", value), ("Join", value)))

    def test_refer_to_with_replaces(self) -> None:
        value = (
            "<sip:carol@example.com;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2"
            "&Subject=hi&Via=forged&Contact=x>"
        )
        found = refer_target_of(request(("Refer-To", value), method="REFER"))
        assert str(found.uri) == "sip:carol@example.com"
        assert found.replaces == Replaces("a@b", "1", "2")
        assert found.headers == (("subject", "hi"),)
        assert ReferTarget.parse(str(found)) == found

    def test_another_method(self) -> None:
        found = ReferTarget.parse("<sip:carol@example.com;method=BYE>")
        assert (found.method, str(found.uri)) == ("BYE", "sip:carol@example.com")
        assert str(found) == "<sip:carol@example.com;method=BYE>"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ([], 400),
            ([("Refer-To", "<sip:a@b>"), ("Refer-To", "<sip:c@d>")], 400),
            ([("Refer-To", "<http://a/b>")], 416),
            ([("Refer-To", "<sip:a@b?Replaces=x>")], 400),
            ([("Refer-To", "<sip:a@b?Subject=x%0d%0aVia:y>")], 400),
        ],
    )
    def test_what_gets_refused(self, headers: list[tuple[str, str]], status: int) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            refer_target_of(request(*headers, method="REFER"))
        assert caught.value.status == status

    def test_headers_of_ours(self) -> None:
        target = ReferTarget(SipUri.parse("sip:c@d"))
        assert refer_headers(target, referred_by=NameAddr.make("sip:b@x"), subscribe=False) == [
            ("Refer-To", "<sip:c@d>"), ("Referred-By", NameAddr.make("sip:b@x")), ("Refer-Sub", "false"),
            ("Supported", "norefersub"),
        ]  # fmt: skip
        assert refer_headers("sip:c@d") == [("Refer-To", "<sip:c@d>")]

    def test_referred_by_in_its_compact_form(self) -> None:
        found = referred_by_of(request(("b", "<sip:bob@example.com>;cid=1")))
        assert found is not None
        assert found.uri_text == "sip:bob@example.com"
        assert referred_by_of(request(("Referred-By", "<sip:"))) is None

    @pytest.mark.parametrize(("value", "wanted"), [("false", True), ("False;x=y", True), ("true", False)])
    def test_refer_sub(self, value: str, wanted: bool) -> None:
        assert wants_no_subscription(request(("Refer-Sub", value))) is wanted


class TestSubscriptions:
    def test_states(self) -> None:
        state = SubscriptionState.parse("Terminated;reason=noresource;retry-after=5")
        assert state == SubscriptionState(Substate.TERMINATED, None, "noresource", 5)
        assert str(SubscriptionState(Substate.ACTIVE, 60)) == "active;expires=60"
        assert SubscriptionState.parse("waiting").state is Substate.ACTIVE
        with pytest.raises(RemoteProtocolError):
            SubscriptionState.parse("")

    def test_events(self) -> None:
        assert EventPackage.parse("Refer;id=7") == EventPackage("refer", "7")
        assert str(EventPackage("refer", "7")) == "refer;id=7"
        with pytest.raises(RemoteProtocolError) as caught:
            EventPackage.parse("")
        assert caught.value.status == 489

    @pytest.mark.parametrize(
        ("body", "progress"),
        [
            (b"SIP/2.0 200 OK\r\n", Progress(200, "OK")),
            (b"\r\nSIP/2.0 180 Ringing\r\nTo: x\r\n", Progress(180, "Ringing")),
            (b"SIP/2.0 603", Progress(603)),
            (b"SIP/2.0 999 x", None),
            (b"", None),
        ],
    )
    def test_progress(self, body: bytes, progress: Progress | None) -> None:
        assert progress_of(request(("Content-Type", "message/sipfrag;version=2.0"), body=body)) == progress
        assert progress_of(request(("Content-Type", "text/plain"), body=body)) is None

    def test_a_fragment(self) -> None:
        assert Progress(100).fragment() == b"SIP/2.0 100 Trying\r\n"


class TestNumbers:
    def test_session_expires(self) -> None:
        message = request(("x", "1800 ;refresher=UAS"), ("Min-SE", "90;x=y"))
        assert session_expires_of(message) == SessionExpires(1800, Refresher.UAS)
        assert min_se_of(message) == 90
        assert (session_expires_of(request()), min_se_of(request(("Min-SE", "x")))) == (None, None)
        with pytest.raises(RemoteProtocolError):
            session_expires_of(request(("Session-Expires", "soon")))

    def test_rack(self) -> None:
        assert rack_of(request(("RAck", "776656 1 INVITE"))) == RAck(776656, 1, "INVITE")
        for value in ("", "1", "1 2", "1 2 3 4", "x 2 INVITE", "99999999999 1 INVITE"):
            with pytest.raises(RemoteProtocolError):
                rack_of(request(("RAck", value)))
        with pytest.raises(RemoteProtocolError):
            rack_of(request())

    def test_rseq(self) -> None:
        assert rseq_of(Response(183, headers=[("Require", "100rel"), ("RSeq", "5")])) == 5
        assert rseq_of(Response(183, headers=[("RSeq", "5")])) is None
        assert rseq_of(Response(200, headers=[("Require", "100rel"), ("RSeq", "5")])) is None
        with pytest.raises(RemoteProtocolError):
            rseq_of(Response(183, headers=[("Require", "100rel")]))


class TestDtmf:
    @pytest.mark.parametrize(
        ("kind", "body", "digit"),
        [
            ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", Digit("5", 160)),
            ("application/dtmf-relay", b"Signal= 11\nDuration= 250", Digit("#", 250)),
            ("application/dtmf-relay", b"duration=99999\r\nsignal=a", Digit("A", 10_000)),
            ("Application/DTMF-Relay", b"Signal=*", Digit("*")),
            ("application/dtmf", b"7", Digit("7")),
            ("application/dtmf", b" 10\r\n", Digit("*")),
            ("application/dtmf", b"#", Digit("#")),
            ("application/dtmf", b"flash", Digit("!")),
        ],
    )
    def test_keys(self, kind: str, body: bytes, digit: Digit) -> None:
        assert digit_of(request(("Content-Type", kind), method="INFO", body=body)) == digit

    @pytest.mark.parametrize(
        ("kind", "body"), [("application/dtmf", b"x"), ("application/dtmf", b""), ("application/dtmf-relay", b"5")]
    )
    def test_no_keys(self, kind: str, body: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            digit_of(request(("Content-Type", kind), method="INFO", body=body))

    def test_other_infos(self) -> None:
        assert digit_of(request(method="INFO")) is None
        assert digit_of(request(("Content-Type", "text/plain"), method="INFO", body=b"5")) is None
        with pytest.raises(RemoteProtocolError) as caught:
            digit_of(request(("Content-Type", "text/plain"), ("Info-Package", "dtmf"), method="INFO", body=b"5"))
        assert caught.value.status == 415

    def test_what_we_write(self) -> None:
        assert Digit("#", 100).relay() == b"Signal=#\r\nDuration=100\r\n"
        assert dtmf_headers() == []
        assert dtmf_headers(package=True)[0] == ("Info-Package", "dtmf")
        assert takes_package(request(("Recv-Info", "foo, dtmf")))


@given(st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=200))
def test_any_value_is_read_or_refused(value: str) -> None:
    for read in (
        Reason.parse, Replaces.parse, ReferTarget.parse, EventPackage.parse, SubscriptionState.parse,
        SessionExpires.parse, RAck.parse,
    ):  # fmt: skip
        try:
            str(read(value))
        except RemoteProtocolError:
            continue
