"""RFC 4475 section 3.1.1, second half: long values, bodies, transports, responses."""

from torture.case import TAKEN, Case, wire
from torture.parsing_valid import SDP

_BINARY = bytes(range(256)) + b"\r\n\r\n--=_not a boundary\r\n\0\xff\xfe"
_PARTS = (
    b"--wheel42\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nFlour\r\n"
    b"--wheel42\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + _BINARY
    + b"\r\n--wheel42--\r\n"
)
_REGISTER = """
REGISTER sip:mill.test SIP/2.0
To: sip:grist@mill.test
From: sip:grist@mill.test;tag=8811-1
Max-Forwards: 12
Call-ID: twice.44-aa@192.0.2.61
CSeq: 7 REGISTER
Via: SIP/2.0/UDP 192.0.2.61;branch=z9hG4bKtwice1
Contact: <sip:grist@192.0.2.61>
Content-Length: 0
"""
_INVITE = """
INVITE sip:grist@mill.test SIP/2.0
t: sip:grist@mill.test
From: sip:hopper@mill.test;tag=8811-2
Max-Forwards: 12
Call-ID: twice.44-bb@192.0.2.61
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.61;branch=z9hG4bKtwice2
Content-Type: application/sdp
Content-Length: LENGTH
"""


def _long_values() -> bytes:
    name = f"unknown-{'long' * 20}"
    vias = [
        f"{'V' if n % 2 else 'Via'}: SIP/2.0/TCP sip{n}.mill.test;branch=z9hG4bKbranch{n}" for n in range(31, 0, -1)
    ]
    lines = [
        "INVITE sip:thing@mill.test SIP/2.0",
        f'To: "A miller known for {"the mill race and " * 12}more" <sip:thing@mill.test:6000;{name}=value;short=x>',
        f"F: sip:{'amazingly' * 20}longcallername@mill.test;tag=12{'9820' * 40}424;{name}name={'long' * 40}value",
        f"Call-ID: longreq.one{'really' * 40}longcallid",
        "CSeq: 7719 INVITE",
        f"Unknown-{'Long' * 30}-Name: unknown-{'long' * 30}-value; {name}-parameter = {name}-value",
        "Via: SIP/2.0/TCP sip33.mill.test",
        "v: SIP/2.0/TCP sip32.mill.test",
        *vias,
        "Max-Forwards: 70",
        f"Contact: <sip:{'amazingly' * 20}longcallername@host5.mill.test>",
        "Content-Type: application/sdp",
        "l: LENGTH",
    ]
    return wire("\n".join(lines), SDP)


CASES = (
    Case(
        4475,
        "3.1.1.7",
        "long-values",
        "very long values of headers, display names, user parts, parameters and branches; many Vias",
        _long_values(),
        TAKEN,
        {
            "vias|len": 33,
            "vias|2|branch": "z9hG4bKbranch31",
            "vias|32|branch": "z9hG4bKbranch1",
            "call_id": f"longreq.one{'really' * 40}longcallid",
            "from_|uri|user": f"{'amazingly' * 20}longcallername",
            "to|uri|params|short": "x",
            "from_|tag": f"12{'9820' * 40}424",
            "body": SDP,
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.8",
        "two-in-one-datagram",
        "a whole INVITE behind the end of a REGISTER: a datagram holds one message, the rest is no part of it",
        wire(_REGISTER) + b"\r\n" + wire(_INVITE, SDP),
        TAKEN,
        {"method": "REGISTER", "cseq|number": 7, "body": b"", "contacts|0|uri|user": "grist"},
        proxy=TAKEN,
        cut=len(b"\r\n" + wire(_INVITE, SDP)),
    ),
    Case(
        4475,
        "3.1.1.9",
        "semicolon-in-user",
        "; and = with an escaped @ in the user part: no parameter of the URI",
        wire("""
OPTIONS sip:grist;side=u%40left.test@mill.test SIP/2.0
To: sip:grist@mill.test
From: sip:hopper@left.test;tag=33242
Max-Forwards: 3
Call-ID: semi.3ju8@192.0.2.1
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKsemi
l: 0
"""),
        TAKEN,
        {
            "request_uri|username": "grist;side=u@left.test",
            "request_uri|host": "mill.test",
            "request_uri|params": {},
            "to|uri|user": "grist",
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.10",
        "transports",
        "Vias of every transport there is, and of one that there is not",
        wire("""
OPTIONS sip:grist@mill.test SIP/2.0
To: sip:grist@mill.test
From: <sip:hopper@left.test>;tag=423
Max-Forwards: 70
Call-ID: transports.q70z@192.0.2.61
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.left.test;branch=z9hG4bKudp
Via: SIP/2.0/SCTP t2.left.test;branch=z9hG4bKsctp
Via: SIP/2.0/TLS t3.left.test;branch=z9hG4bKtls
Via: SIP/2.0/PIGEON t4.left.test;branch=z9hG4bKpigeon
Via: SIP/2.0/TCP t5.left.test;branch=z9hG4bKtcp
l: 0
"""),
        TAKEN,
        {
            "vias|0|transport": "UDP",
            "vias|1|transport": "SCTP",
            "vias|2|transport": "TLS",
            "vias|3|transport": "PIGEON",
            "vias|4|transport": "TCP",
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.11",
        "multipart-binary",
        "a multipart body whose second part is binary, with NUL, lone CR, CRLFCRLF and what looks like a boundary",
        wire(
            """
MESSAGE sip:grist@mill.test SIP/2.0
Via: SIP/2.0/UDP 192.0.2.62:5070;branch=z9hG4bKparts;rport
Max-Forwards: 70
Route: <sip:192.0.2.63:5080>
Contact: <sip:hopper@192.0.2.62:5070>
To: <sip:grist@mill.test>
From: <sip:hopper@left.test>;tag=parts1
Call-ID: parts.99c2@192.0.2.62
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=wheel42
Date: Tue, 03 Feb 2026 04:05:06 GMT
Content-Length: LENGTH
""",
            _PARTS,
        ),
        TAKEN,
        {"content_type|essence": "multipart/mixed", "content_type|params|boundary": "wheel42", "body": _PARTS},
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.12",
        "strange-phrase",
        "a reason phrase with punctuation and UTF-8",
        wire("""
SIP/2.0 200 = 2**3 * 5**2 двести ровно, и всё; 100% "да"
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bKphrase
Call-ID: phrase.81hq@192.0.2.198
CSeq: 41 INVITE
From: sip:hopper@left.test;tag=flume7
To: sip:grist@mill.test;tag=race4
Content-Length: 0
Contact: <sip:grist@host198.mill.test>
"""),
        TAKEN,
        {"code": 200, "phrase": '= 2**3 * 5**2 двести ровно, и всё; 100% "да"', "cseq|number": 41},
    ),
    Case(
        4475,
        "3.1.1.13",
        "empty-phrase",
        "no reason phrase: the blank after the code is the end of the line",
        wire("""
SIP/2.0 100\u0020
Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bKnophrase
Call-ID: nophrase.4mm2@192.0.2.105
CSeq: 41 INVITE
From: <sip:hopper@left.test>;tag=flume9
To: <sip:grist@mill.test>;tag=race8
Content-Length: 0
Contact: <sip:grist@host105.mill.test>
"""),
        TAKEN,
        {"code": 100, "phrase": "", "to|tag": "race8"},
    ),
)
