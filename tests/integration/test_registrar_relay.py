"""SIP between a PBX and bridges through a registrar process: a real Kamailio, SIPp as the phones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from dialog_schemas.relay import RelayKind
from dialog_sip import Request, Response, parse_message
from fixtures.kamailio import Kamailio, KamailioFactory
from fixtures.registrar_stage import Stage

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio", "sipp")

_SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"


async def call(pbx: Kamailio, user: str, folder: Path, *, expect: int) -> asyncio.subprocess.Process:
    """Let SIPp call a user of the PBX; it exits with 0 if the call ends with this response."""
    scenario = folder / "call.xml"
    scenario.write_text(
        f"""<?xml version="1.0"?><scenario name="call"><send retrans="500"><![CDATA[
INVITE sip:{user}@127.0.0.1:{pbx.port} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:phone@127.0.0.1>;tag=[call_number]
To: <sip:{user}@127.0.0.1>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:phone@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 9 RTP/AVP 0
]]></send>
<recv response="100" optional="true"/><recv response="180" optional="true"/>
<recv response="{expect}" timeout="20000"/><send><![CDATA[
ACK sip:{user}@127.0.0.1:{pbx.port} SIP/2.0
Via: [last_Via:]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0
]]></send></scenario>"""
    )
    return await asyncio.create_subprocess_exec(
        "sipp", "-sf", str(scenario), "-m", "1", "-i", "127.0.0.1", "-nostdin", "-timeout", "25s",
        f"127.0.0.1:{pbx.port}", cwd=folder,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process, within: float = 30.0) -> int:
    return await asyncio.wait_for(process.wait(), within)


async def test_a_call_without_a_bridge_is_answered_503_in_bounded_time(
    stage: Stage, kamailio: KamailioFactory, tmp_path: Path
) -> None:
    pbx = await kamailio()
    registrar = await stage.start("r1")
    await stage.status(await stage.row("alice", pbx.port))
    began = time.monotonic()
    # The PBX, a proxy, tells its phone 500 where it is told 503 (RFC 3261 section 16.7, step 6).
    assert await ended(await call(pbx, "alice", tmp_path, expect=500)) == 0
    # Sooner than Timer B, at which the phone would give up by itself.
    assert time.monotonic() - began < 30
    assert "SIP/2.0 503" in registrar.log
    assert "Retry-After" in registrar.log


async def test_a_bridge_takes_a_call_and_refuses_it(stage: Stage, kamailio: KamailioFactory, tmp_path: Path) -> None:
    pbx = await kamailio()
    await stage.start("r1")
    aor = await stage.row("alice", pbx.port)
    await stage.status(aor)
    phone = await call(pbx, "alice", tmp_path, expect=486)
    await stage.until(lambda: bool(stage.requests))
    relay = stage.requests[0]
    assert (relay.aor, relay.sender, relay.kind) == (aor, "r1", RelayKind.REQUEST)
    invite = parse_message(relay.sip)
    assert isinstance(invite, Request)
    for code in (180, 486):
        answer = invite.respond(code, to_tag="bridge")
        await stage.send(relay.sender, answer.encode(), aor, RelayKind.RESPONSE, relay.transaction)
    assert await ended(phone) == 0


async def test_a_bridge_calls_and_never_sees_a_challenge(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio(challenge_calls=True)
    await stage.start("r1")
    alice = await stage.row("alice", pbx.port)
    bob = await stage.row("bob", pbx.port)
    await stage.status(alice)
    await stage.status(bob)
    invite = Request(
        "INVITE",
        f"sip:bob@127.0.0.1:{pbx.port}",
        [
            ("From", "<sip:alice@127.0.0.1>;tag=a1"),
            ("To", "<sip:bob@127.0.0.1>"),
            ("Call-ID", "call-1@test"),
            ("CSeq", "10 INVITE"),
            ("Max-Forwards", "70"),
            ("Content-Type", "application/sdp"),
        ],
        _SDP,
    )
    name = await stage.send("r1", invite.encode(), alice, RelayKind.REQUEST)

    # The PBX sends it on to bob, who is ours as well: the same bridge gets it as a request.
    await stage.until(lambda: bool(stage.requests or stage.inbox))
    await stage.until(lambda: any(relay.kind is RelayKind.REQUEST for relay in [*stage.requests, *stage.inbox]))
    arrived = next(relay for relay in [*stage.requests, *stage.inbox] if relay.kind is RelayKind.REQUEST)
    received = parse_message(arrived.sip)
    assert isinstance(received, Request)
    assert (received.call_id, arrived.aor) == ("call-1@test", bob)
    assert "Proxy-Authorization" not in received.headers
    answer = received.respond(200, to_tag="b1", body=_SDP, content_type="application/sdp")
    await stage.send("r1", answer.encode(), bob, RelayKind.RESPONSE, arrived.transaction)

    def responses() -> list[Response]:
        mine = [relay for relay in stage.inbox if relay.transaction == name]
        return [message for relay in mine if isinstance(message := parse_message(relay.sip), Response)]

    await stage.until(lambda: any(response.is_final for response in responses()))
    final = next(response for response in responses() if response.is_final)
    assert (final.code, final.cseq.number) == (200, 11)
    ack = Request(
        "ACK",
        final.contacts[0].uri_text,
        [
            *(("Route", route) for route in reversed(final.record_routes)),
            ("From", final.from_),
            ("To", final.to),
            ("Call-ID", "call-1@test"),
            ("CSeq", "11 ACK"),
            ("Max-Forwards", "70"),
        ],
    )
    await stage.send("r1", ack.encode(), alice, RelayKind.REQUEST)
    await stage.until(lambda: any(relay.sip.startswith(b"ACK") for relay in stage.inbox))
