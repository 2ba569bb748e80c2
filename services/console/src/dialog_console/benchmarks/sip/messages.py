"""The messages that all libraries read: an INVITE of 1.1 KB, a REGISTER with credentials, a 200 to an INVITE.

No two are alike: each has a user, a Call-ID, tags and a branch of its own, and there are more of them than any cache of
URIs holds. What stands the same in all is what does on a real trunk: hosts, proxies, Allow, User-Agent.
"""

from __future__ import annotations

from enum import StrEnum

COUNT = 4000
"""Messages of each kind."""

_SDP = (
    "v=0\r\no=- {serial} 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 49170 RTP/AVP 0 8 9 96 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:9 G722/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1;usedtx=1\r\n"
    "a=rtcp:49171 IN IP4 192.0.2.10\r\na=ssrc:{serial} cname:example\r\na=label:caller\r\na=mid:audio\r\na=rtcp-mux\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)
_INVITE = (
    "INVITE sip:{callee}@pbx.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa{serial:08x}.1\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;rport=5060;received=192.0.2.10;branch=z9hG4bK{serial:08x}\r\n"
    "Record-Route: <sip:192.0.2.1;lr>\r\n"
    "Max-Forwards: 69\r\n"
    'From: "User {caller}" <sip:{caller}@example.com>;tag=f{serial:08x}\r\n'
    "To: <sip:{callee}@pbx.example.com>\r\n"
    "Call-ID: {serial:08x}-7d3f-4b56@192.0.2.10\r\n"
    "CSeq: 102 INVITE\r\n"
    "Contact: <sip:{caller}@192.0.2.10:5060;transport=udp>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY, INFO\r\n"
    "Supported: replaces, timer, 100rel\r\n"
    "Session-Expires: 1800;refresher=uac\r\n"
    "Min-SE: 90\r\n"
    "User-Agent: Example PBX 18.4\r\n"
    "Content-Type: application/sdp\r\n"
)
_REGISTER = (
    "REGISTER sip:pbx.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK{serial:08x}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{caller}@pbx.example.com>;tag=f{serial:08x}\r\n"
    "To: <sip:{caller}@pbx.example.com>\r\n"
    "Call-ID: {serial:08x}-7d3f-4b56@192.0.2.10\r\n"
    "CSeq: 8 REGISTER\r\n"
    "Contact: <sip:{caller}@192.0.2.10:5060>;expires=1800\r\n"
    'Authorization: Digest username="{caller}", realm="pbx.example.com", nonce="{serial:032x}", '
    'uri="sip:pbx.example.com", response="0123456789abcdef0123456789abcdef", algorithm=MD5, '
    'cnonce="{serial:016x}", qop=auth, nc=00000001\r\n'
    "Expires: 1800\r\n"
    "Supported: path\r\n"
)
_OK = (
    "SIP/2.0 200 OK\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;rport=5060;received=192.0.2.10;branch=z9hG4bK{serial:08x}\r\n"
    "Record-Route: <sip:192.0.2.1;lr>\r\n"
    'From: "User {caller}" <sip:{caller}@example.com>;tag=f{serial:08x}\r\n'
    "To: <sip:{callee}@pbx.example.com>;tag=t{serial:08x}\r\n"
    "Call-ID: {serial:08x}-7d3f-4b56@192.0.2.10\r\n"
    "CSeq: 102 INVITE\r\n"
    "Contact: <sip:{callee}@192.0.2.2:5060>\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY, INFO\r\n"
    "Supported: replaces, timer\r\n"
    "Server: Example PBX 18.4\r\n"
    "Content-Type: application/sdp\r\n"
)


class Kind(StrEnum):
    """What is read."""

    INVITE = "INVITE"
    REGISTER = "REGISTER"
    OK = "200"


_HEADS = {Kind.INVITE: (_INVITE, _SDP), Kind.REGISTER: (_REGISTER, ""), Kind.OK: (_OK, _SDP)}


def messages(kind: Kind, count: int = COUNT) -> list[bytes]:
    """Return ``count`` different messages."""
    return [_message(*_HEADS[kind], serial) for serial in range(1, count + 1)]


def _message(head: str, sdp: str, serial: int) -> bytes:
    body = sdp.format(serial=serial).encode()
    filled = head.format(serial=serial, caller=10_000 + serial, callee=50_000 + serial)
    return f"{filled}Content-Length: {len(body)}\r\n\r\n".encode() + body
