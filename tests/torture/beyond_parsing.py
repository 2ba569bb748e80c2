"""RFC 4475 sections 3.2 to 3.4: transactions, application layer, backward compatibility."""

from torture.case import DROPPED, TAKEN, Answer, Case, wire
from torture.parsing_invalid import invite, options, plain
from torture.parsing_valid import SDP


def _register(name: str, **lines: str) -> bytes:
    return wire(plain("REGISTER sip:mill.test SIP/2.0", method="REGISTER", name=name, **lines))


CASES = (
    Case(
        4475,
        "3.2.1",
        "cookie-without-identifier",
        "a branch that is the magic cookie and nothing more",
        options("cookie", Via="SIP/2.0/UDP 192.0.2.90;branch=z9hG4bK"),
        TAKEN,
        {"via|branch": "z9hG4bK"},
        proxy=TAKEN,
        note="Transactions fall back to matching by RFC 2543, so that two such requests are not one.",
    ),
    Case(
        4475,
        "3.3.1",
        "missing-mandatory",
        "no Call-ID, no From and no To",
        wire(
            """
INVITE sip:grist@mill.test SIP/2.0
CSeq: 7731 INVITE
Max-Forwards: 70
Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKmissing
Content-Type: application/sdp
l: LENGTH
""",
            SDP,
        ),
        Answer(400),
        {"method": "INVITE", "cseq|number": 7731},
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.3.2",
        "unknown-scheme",
        "a Request-URI of a scheme that nobody knows",
        options("scheme", "OPTIONS nobodyElseKnowsThis:opaque-all-through SIP/2.0"),
        Answer(416),
        {"uri": "nobodyElseKnowsThis:opaque-all-through"},
        proxy=Answer(416),
    ),
    Case(
        4475,
        "3.3.3",
        "novel-scheme",
        "a Request-URI of a registered scheme that has no meaning here",
        options("novel", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"),
        Answer(416),
        {"uri": "soap.beep://192.0.2.103:3002"},
        proxy=Answer(416),
    ),
    Case(
        4475,
        "3.3.4",
        "schemes-in-headers",
        "other schemes in To, From and Contact of a REGISTER",
        _register(
            "schemes", To="isbn:9780306406157", From="<http://www.mill.test>;tag=isbn3", Contact="<name:Grist_Miller>"
        ),
        Answer(400),
        {
            "to|uri_text": "isbn:9780306406157",
            "from_|uri_text": "http://www.mill.test",
            "contacts|0|uri_text": "name:Grist_Miller",
        },
        proxy=TAKEN,
        note="A registrar refuses it, since an address of record is a SIP URI; everybody else passes it on.",
    ),
    Case(
        4475,
        "3.3.5",
        "required-extensions",
        "Require and Proxy-Require with tags that nobody supports",
        options("ext", Require="noStoneKnowsThis, noStoneKnowsThisEither", Proxy_Require="noMillKnowsThis, norAnyMill"),
        Answer(420, {"Unsupported": "noStoneKnowsThis, noStoneKnowsThisEither"}),
        {"method": "OPTIONS"},
        proxy=Answer(420, {"Unsupported": "noMillKnowsThis, norAnyMill"}),
    ),
    Case(
        4475,
        "3.3.6",
        "unknown-body",
        "a body of an unknown type",
        wire(
            plain(
                "INVITE sip:grist@mill.test SIP/2.0",
                method="INVITE",
                name="body",
                Content_Type="application/grist",
                Contact="<sip:hopper@host5.left.test>",
                Content_Length="LENGTH",
            ),
            b"<flour>fine</flour>",
        ),
        Answer(415, {"Accept": "application/sdp"}),
        {"body": b"<flour>fine</flour>"},
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.3.7",
        "unknown-authorization",
        "Authorization of a scheme that nobody knows",
        _register("auth", Authorization="NoMillKnowsThis opaque-data=here", Contact="<sip:grist@host5.left.test>"),
        TAKEN,
        {"headers|Authorization": "NoMillKnowsThis opaque-data=here"},
        proxy=TAKEN,
        note="As good as no credentials: a registrar that wants some challenges.",
    ),
    Case(
        4475,
        "3.3.8",
        "doubled-single-values",
        "Call-ID, To, From, Max-Forwards and CSeq stand twice, with other values",
        wire(
            """
INVITE sip:grist@mill.test SIP/2.0
Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKmulti
Max-Forwards: 70
Max-Forwards: 5
CSeq: 15 INVITE
CSeq: 16 INVITE
Call-ID: twin.6tt1@192.0.2.1
Call-ID: twin.6tt1@192.0.2.2
From: sip:hopper@left.test;tag=twin-a
From: sip:other@left.test;tag=twin-b
To: sip:grist@mill.test
To: sip:stone@mill.test
Contact: <sip:hopper@host25.left.test>
l: LENGTH
""",
            SDP,
        ),
        Answer(400),
        {"method": "INVITE"},
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.3.9",
        "two-lengths",
        "Content-Length stands twice and differs",
        wire(
            plain("OPTIONS sip:grist@mill.test SIP/2.0", method="OPTIONS", name="mcl") + "\nContent-Length: 13",
            b"Two lengths!!",
        ),
        Answer(400),
        proxy=Answer(400),
        note="On a stream the connection is closed too.",
    ),
    Case(
        4475,
        "3.3.10",
        "broadcast-via",
        "a 200 whose second Via is a broadcast address",
        wire(
            """
SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bKspread1
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKspread2
Call-ID: spread.55kw2@192.0.2.198
CSeq: 41 INVITE
From: sip:hopper@left.test;tag=flume7
To: sip:grist@mill.test;tag=race4
Content-Length: LENGTH
Content-Type: application/sdp
Contact: <sip:grist@host28.mill.test>
""",
            SDP,
        ),
        DROPPED,
        {"code": 200, "vias|1|host": "255.255.255.255"},
    ),
    Case(
        4475,
        "3.3.11",
        "no-hops-left",
        "Max-Forwards is zero",
        options("zeromf", Max_Forwards="0"),
        TAKEN,
        {"max_forwards": 0},
        proxy=Answer(483),
        note="An endpoint does not pass the request on, so it does not care.",
    ),
    Case(
        4475,
        "3.3.12",
        "contact-parameter",
        "a Contact without brackets: the parameter is that of the header",
        _register("cpar1", Contact="sip:+4930555010@gw1.left.test;unknownparam"),
        TAKEN,
        {
            "contacts|0|params": {"unknownparam": None},
            "contacts|0|uri|params": {},
            "contacts|0|uri|user": "+4930555010",
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.3.13",
        "contact-uri-parameter",
        "a Contact with brackets: the parameter is that of the URI",
        _register("cpar2", Contact="<sip:+4930555010@gw1.left.test;unknownparam>"),
        TAKEN,
        {"contacts|0|params": {}, "contacts|0|uri|params": {"unknownparam": None}},
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.3.14",
        "contact-uri-headers",
        "a Contact whose URI carries an escaped Route",
        _register("cesc", Contact="<sip:grist@mill.test?Route=%3Csip:weir.mill.test%3E>"),
        TAKEN,
        {"contacts|0|uri|headers": "Route=%3Csip:weir.mill.test%3E"},
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.3.15",
        "unknown-accept",
        "an INVITE that accepts bodies of an unknown type alone",
        invite("accept", Accept="text/noMillKnowsThis"),
        Answer(406),
        {"headers|Accept": "text/noMillKnowsThis"},
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.4.1",
        "rfc2543-invite",
        "an INVITE by RFC 2543: no branch, no tag, no Max-Forwards, Record-Route with maddr and without lr",
        wire(
            """
INVITE sip:GristB@mill.test SIP/2.0
Via: SIP/2.0/UDP gate.mill.test
From: <sip:+4930555011@gate.left.test;user=phone>
Record-Route: <sip:GristB@mill.test;maddr=ss2.mill.test>
To: sip:+4930555012@ss2.mill.test;user=phone
Call-ID: inv2543.1818@gate.left.test
CSeq: 56 INVITE
Content-Type: application/sdp

""".rstrip("\n"),
            SDP,
        ),
        TAKEN,
        {
            "via|branch": None,
            "from_|tag": None,
            "max_forwards": None,
            "record_routes|0|uri|params|maddr": "ss2.mill.test",
            "to|params": {"user": "phone"},
            "body": SDP,
        },
        proxy=TAKEN,
    ),
)
