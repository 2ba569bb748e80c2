"""RFC 5118: IPv6 in SIP."""

from zlib import crc32

from torture.case import TAKEN, Answer, Case, wire


def _message(
    start: str,
    *,
    via: str = "SIP/2.0/UDP [2001:db8::7:1];branch=z9hG4bKsix",
    body: bytes = b"",
    to: str = "sip:grist@mill.test",
    **more: str,
) -> bytes:
    method = start.partition(" ")[0]
    lines = [start, f"To: {to}", "From: sip:hopper@left.test;tag=71x2"]
    lines += [f"Via: {value}" for value in via.split("\n")]
    lines += [
        f"Call-ID: six.{crc32(start.encode() + via.encode() + body)}@gate_9100",
        "Max-Forwards: 70",
        f"CSeq: 7176 {method}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return wire("\n".join([*lines, "Content-Length: LENGTH"]), body)


_CALLER = '"Hopper" <sip:hopper@[2001:db8::1]>'
_SIX_SDP = (
    b"v=0\r\no=miller 88123 1 IN IP6 2001:db8::20\r\ns=A mill at work\r\nc=IN IP6 2001:db8::20\r\n"
    b"t=0 0\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\n"
)
_MIXED_SDP = (
    b"v=0\r\no=miller 99120 99121 IN IP4 host.mill.test\r\ns=\r\nt=0 0\r\nm=audio 22334 RTP/AVP 0\r\n"
    b"c=IN IP4 192.0.2.1\r\nm=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:107 H263-1998/90000\r\n"
)
_MAPPED_SDP = _SIX_SDP.replace(b"2001:db8::20", b"::ffff:192.0.2.9")

CASES = (
    Case(
        5118,
        "4.1",
        "ipv6-reference",
        "IPv6 references in the Request-URI, Via and Contact",
        _message("REGISTER sip:[2001:db8::30] SIP/2.0", Contact=_CALLER),
        TAKEN,
        {
            "request_uri|host": "[2001:db8::30]",
            "request_uri|address": "2001:db8::30",
            "request_uri|port": None,
            "via|host": "[2001:db8::7:1]",
            "via|port": None,
            "contacts|0|uri|host": "[2001:db8::1]",
        },
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.2",
        "ipv6-without-brackets",
        "an IPv6 address without [ and ] in the Request-URI",
        _message("REGISTER sip:2001:db8::30 SIP/2.0", Contact=_CALLER),
        Answer(400),
        proxy=Answer(400),
    ),
    Case(
        5118,
        "4.3",
        "port-within-brackets",
        "what was meant for a port stands within the brackets: it is of the address",
        _message("REGISTER sip:[2001:db8::30:5070] SIP/2.0", Contact=_CALLER),
        TAKEN,
        {"request_uri|host": "[2001:db8::30:5070]", "request_uri|port": None},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.4",
        "port-behind-brackets",
        "a port behind the brackets",
        _message("REGISTER sip:[2001:db8::30]:5070 SIP/2.0", Contact=_CALLER),
        TAKEN,
        {"request_uri|host": "[2001:db8::30]", "request_uri|port": 5070},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.5",
        "received-with-brackets",
        "received in Via with [ and ], against the grammar",
        _message(
            "BYE sip:[2001:db8::30] SIP/2.0",
            to="sip:grist@mill.test;tag=cd76ya",
            via="SIP/2.0/UDP [2001:db8::7:1];received=[2001:db8::7:254];branch=z9hG4bKsix",
        ),
        TAKEN,
        {"via|received": "2001:db8::7:254", "via|branch": "z9hG4bKsix"},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.5",
        "received-without-brackets",
        "received in Via without [ and ], as the grammar has it",
        _message(
            "OPTIONS sip:[2001:db8::30] SIP/2.0",
            via="SIP/2.0/UDP [2001:db8::7:1];received=2001:db8::7:254;branch=z9hG4bKsix",
            Contact=_CALLER,
        ),
        TAKEN,
        {"via|received": "2001:db8::7:254"},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.6",
        "ipv6-in-sdp",
        "IPv6 in SDP, where it has no brackets",
        _message(
            "INVITE sip:grist@[2001:db8::30] SIP/2.0", body=_SIX_SDP, Contact=_CALLER, Content_Type="application/sdp"
        ),
        TAKEN,
        {"body": _SIX_SDP, "request_uri|user": "grist"},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.7",
        "mixed-vias",
        "IPv4 and IPv6 in the Vias, with a port and with an IPv4 received",
        _message(
            "BYE sip:grist@host.mill.test SIP/2.0",
            to="sip:grist@mill.test;tag=8817--94",
            via="SIP/2.0/UDP [2001:db8::7:1]:6050;branch=z9hG4bKsix\nSIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfour\n"
            "SIP/2.0/TCP [2001:db8::7:254];branch=z9hG4bKboth;received=192.0.2.200",
        ),
        TAKEN,
        {
            "vias|0|host": "[2001:db8::7:1]",
            "vias|0|port": 6050,
            "vias|1|host": "192.0.2.1",
            "vias|2|received": "192.0.2.200",
            "vias|2|transport": "TCP",
        },
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.8",
        "mixed-sdp",
        "a c= of IPv4 for one media section, of IPv6 for the other, and a host name in o=",
        _message(
            "INVITE sip:grist@[2001:db8::30] SIP/2.0", body=_MIXED_SDP, Contact=_CALLER, Content_Type="application/sdp"
        ),
        TAKEN,
        {"body": _MIXED_SDP},
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.9",
        "mapped-addresses",
        "IPv4-mapped IPv6 addresses in Vias, Contact and SDP",
        _message(
            "INVITE sip:grist@mill.test SIP/2.0",
            body=_MAPPED_SDP,
            Content_Type="application/sdp",
            via="SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKmap1\n"
            "SIP/2.0/UDP [::ffff:192.0.2.9];branch=z9hG4bKmap2",
            Contact='"The desk" <sip:grist@[::ffff:192.0.2.9]>',
        ),
        TAKEN,
        {
            "vias|0|host": "[::ffff:192.0.2.10]",
            "vias|0|port": 19823,
            "vias|1|host": "[::ffff:192.0.2.9]",
            "contacts|0|uri|address": "::ffff:192.0.2.9",
            "body": _MAPPED_SDP,
        },
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.10",
        "three-colons",
        "a third colon before the IPv4 part, which the grammar of RFC 3261 lets stand",
        _message("OPTIONS sip:grist@[2001:db8:::192.0.2.7] SIP/2.0", to="sip:grist@[2001:db8:::192.0.2.7]"),
        TAKEN,
        {
            "request_uri|host": "[2001:db8:::192.0.2.7]",
            "request_uri|address": "2001:db8::192.0.2.7",
            "to|uri|address": "2001:db8::192.0.2.7",
        },
        proxy=TAKEN,
    ),
    Case(
        5118,
        "4.10",
        "two-colons",
        "the same with two",
        _message("OPTIONS sip:grist@[2001:db8::192.0.2.7] SIP/2.0", to="sip:grist@[2001:db8::192.0.2.7]"),
        TAKEN,
        {"request_uri|address": "2001:db8::192.0.2.7"},
        proxy=TAKEN,
    ),
)
