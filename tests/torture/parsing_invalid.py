"""RFC 4475 section 3.1.2: what is malformed, and what is answered."""

from torture.case import DROPPED, Answer, Case, wire
from torture.parsing_valid import SDP


def plain(start: str, *, method: str, name: str, **lines: str) -> str:
    """Return a plain request head; ``lines`` replace or add headers (``From``, ``Content_Length``...)."""
    headers = {
        "Via": f"SIP/2.0/UDP 192.0.2.90;branch=z9hG4bK{name}",
        "To": "sip:grist@mill.test",
        "From": f"sip:hopper@left.test;tag={name}1",
        "Max-Forwards": "70",
        "Call-ID": f"{name}.7kz@192.0.2.90",
        "CSeq": f"12 {method}",
        "Content-Length": "0",
    }
    headers |= {key.replace("_", "-"): value for key, value in lines.items()}
    return "\n".join([start, *(f"{key}: {value}" for key, value in headers.items())])


def invite(name: str, start: str = "INVITE sip:grist@mill.test SIP/2.0", **lines: str) -> bytes:
    return wire(
        plain(
            start, method="INVITE", name=name, Content_Type="application/sdp", **{"Content_Length": "LENGTH", **lines}
        ),
        SDP,
    )


def options(name: str, start: str = "OPTIONS sip:grist@mill.test SIP/2.0", **lines: str) -> bytes:
    return wire(plain(start, method="OPTIONS", name=name, **lines))


CASES = (
    Case(
        4475,
        "3.1.2.1",
        "empty-separators",
        "semicolons and commas with nothing between them in Via, and semicolons in Contact",
        invite("sep", Via="SIP/2.0/UDP 192.0.2.90;;,;,,", Contact='"Mill" <sip:grist@mill.test>;;;;'),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.2",
        "length-beyond-the-end",
        "Content-Length says more than the datagram holds",
        invite("clong", Content_Length="9999"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.3",
        "negative-length",
        "Content-Length is negative",
        invite("cneg", Content_Length="-999"),
        Answer(400),
        proxy=Answer(400),
        note="On a stream the connection is closed too, for nothing tells where the next message starts.",
    ),
    Case(
        4475,
        "3.1.2.4",
        "overlarge-numbers-in-a-request",
        "CSeq, Max-Forwards, Expires and an expires parameter beyond what any integer type holds",
        wire(
            plain(
                "REGISTER sip:mill.test SIP/2.0",
                method="REGISTER",
                name="big",
                CSeq="99999999999999999999 REGISTER",
                Max_Forwards="300",
                Expires="1" + "0" * 100,
                Contact="<sip:grist@host9.mill.test>;expires=888888888888888",
            )
        ),
        Answer(400),
        proxy=Answer(400),
        note="CSeq alone decides; Max-Forwards and the expiries would count as missing.",
    ),
    Case(
        4475,
        "3.1.2.5",
        "overlarge-numbers-in-a-response",
        "CSeq, Retry-After and a warn-code out of range in a response",
        wire(
            plain(
                "SIP/2.0 503 Service Unavailable",
                method="OPTIONS",
                name="bigr",
                CSeq="18446744073709551617 OPTIONS",
                To="<sip:grist@mill.test>;tag=race4",
                Retry_After="777777777777777777777777777",
                Warning='1812 overture "In Progress"',
            )
        ),
        DROPPED,
    ),
    Case(
        4475,
        "3.1.2.6",
        "open-quote",
        "the display name of To has a quote that is never closed",
        invite("quote", To='"Mr. G. Miller <sip:grist@mill.test>'),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.7",
        "bracketed-request-uri",
        "< and > round the Request-URI",
        invite("ltgt", "INVITE <sip:grist@mill.test> SIP/2.0"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.8",
        "blank-in-request-uri",
        "a blank within the Request-URI, before a parameter",
        invite("lws", "INVITE sip:grist@mill.test; lr SIP/2.0"),
        Answer(400),
        proxy=Answer(400),
        note="Guessing what was meant is how two elements route one request in two ways.",
    ),
    Case(
        4475,
        "3.1.2.9",
        "blanks-in-start-line",
        "more than one blank between method, Request-URI and version",
        invite("lwsstart", "INVITE  sip:grist@mill.test  SIP/2.0"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.10",
        "blanks-behind-start-line",
        "blanks between the version and the end of the line",
        options("trail", "OPTIONS sip:grist@mill.test SIP/2.0  "),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.11",
        "headers-in-request-uri",
        "an escaped Route behind ? in the Request-URI",
        invite("esc", "INVITE sip:grist@mill.test?Route=%3Csip:weir.mill.test%3E SIP/2.0"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.12",
        "date-not-in-gmt",
        "Date in another time zone than GMT",
        invite("date", Date="Sat, 01 Jan 2011 16:00:00 CET"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.13",
        "contact-without-brackets",
        "a Contact without < and > whose URI has headers, so that ? and ; have two meanings",
        wire(
            plain(
                "REGISTER sip:mill.test SIP/2.0",
                method="REGISTER",
                name="regct",
                Contact="sip:grist@mill.test?Route=%3Csip:weir.mill.test%3E",
            )
        ),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.14",
        "blanks-in-brackets",
        "blanks between < and the URI, and between the URI and >",
        options("spaces", To='"Miller, Grist" < sip:grist@mill.test >'),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.15",
        "unquoted-comma-in-name",
        "a display name without quotes that holds what is no token: a comma",
        options("name", From="Miller, Grist <sip:hopper@left.test>;tag=43", To="Stone, Quern <sip:grist@mill.test>"),
        Answer(400),
        proxy=Answer(400),
        note="Quotes are inferred for other characters, which phones do leave unquoted; a comma ends a value.",
    ),
    Case(
        4475,
        "3.1.2.16",
        "unknown-version",
        "SIP/7.0, in the Via too",
        options("vers", "OPTIONS sip:grist@mill.test SIP/7.0", Via="SIP/7.0/UDP c.left.test;branch=z9hG4bKvers"),
        Answer(505),
        proxy=Answer(505),
    ),
    Case(
        4475,
        "3.1.2.17",
        "method-mismatch",
        "CSeq names another method than the start line",
        options("mism", CSeq="8 INVITE"),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        4475,
        "3.1.2.18",
        "method-mismatch-unknown",
        "an unknown method, and CSeq names another",
        options("mism2", "NEWMETHOD sip:grist@mill.test SIP/2.0", CSeq="8 INVITE"),
        Answer(501, {"Allow": "INVITE"}),
        proxy=Answer(400),
        note="Both are allowed; an endpoint looks at the method first (RFC 3261 section 8.2.1).",
    ),
    Case(
        4475,
        "3.1.2.19",
        "overlarge-code",
        "a response code beyond 32 bits",
        wire(plain("SIP/2.0 8589934792 a code from afar", method="INVITE", name="code")),
        DROPPED,
    ),
)
