"""Every event as a foreign producer writes it: bytes and ce_* headers by hand, with fields that we do not know."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dialog_schemas.cloudevents import Envelope, MalformedEventError, decode, encode
from dialog_schemas.relay import MalformedRelayError, Relay, RelayKind
from dialog_schemas.topics import EVENT_TYPES

MESSAGES: dict[str, tuple[str, dict[str, object]]] = {
    "user-created": (
        '{"user_id":434,"name":"Анна","is_bot":false,"nick":"anna"}',
        {"user_id": 434, "name": "Анна", "is_bot": False},
    ),
    "user-updated": ('{"user_id":434,"name":"Anna B.","x":[1]}', {"user_id": 434, "name": "Anna B.", "is_bot": False}),
    "user-deleted": ('{"user_id":2147483647,"reason":{"code":1}}', {"user_id": 2147483647}),
    "mapping-upserted": (
        (
            '{"aor":"434@pbx.example","sip_user":"434","sip_host":"pbx.example","sip_port":5061,"transport":"wss",'
            '"handshake":{"method":"GET","host":"pbx.example:443","location":"/ws"},"media":"direct","peer_type":1,'
            '"peer_id":434,"register":true,"can_call":true,"can_be_called":false,"revision":"771","hint":null}'
        ),
        {"aor": "434@pbx.example", "registers": True, "can_be_called": False, "transport": "wss", "peer_type": 1},
    ),
    "mapping-rejected": (
        '{"aor":"435@pbx.example","reason":"sip_port is 70000","revision":"772","row":7}',
        {"aor": "435@pbx.example", "reason": "sip_port is 70000"},
    ),
    "registration-status": (
        (
            '{"aor":"434@pbx.example","state":"registered","owner":"registrar-1","granted_expires":1800,'
            '"expires_at":"2026-11-24T17:30:00Z","call_id":"a84b4c76e66710","cseq":4711,"zone":"b"}'
        ),
        {
            "state": "registered",
            "owner": "registrar-1",
            "expires_at": datetime(2026, 11, 24, 17, 30, tzinfo=UTC),
            "cseq": 4711,
        },
    ),
    "call-start": (
        '{"call_id":"c-1","user_id":434,"to":"+4930123456","sdp":"v=0\\r\\n","video":true}',
        {"call_id": "c-1", "user_id": 434, "to": "+4930123456", "sdp": "v=0\r\n"},
    ),
    "call-ringing": ('{"call_id":"c-1","device":"ios"}', {"call_id": "c-1"}),
    "call-accept": ('{"call_id":"c-1","sdp":"v=0\\r\\n","x":1}', {"sdp": "v=0\r\n"}),
    "call-reject": ('{"call_id":"c-1","reason":"busy","x":1}', {"reason": "busy"}),
    "call-set-sdp": ('{"call_id":"c-1","sdp_type":"offer","sdp":"v=0\\r\\n","x":1}', {"sdp_type": "offer"}),
    "call-add-ice": (
        '{"call_id":"c-1","candidate":"candidate:1 1 UDP 1 192.0.2.1 9 typ host","sdp_mid":"0","x":1}',
        {"sdp_mid": "0", "sdp_mline_index": None},
    ),
    "call-send-dtmf": ('{"call_id":"c-1","digits":"12#","x":1}', {"digits": "12#", "duration_ms": 100}),
    "call-hold": ('{"call_id":"c-1","x":1}', {"call_id": "c-1"}),
    "call-resume": ('{"call_id":"c-1","x":1}', {"call_id": "c-1"}),
    "call-transfer": ('{"call_id":"c-1","to":"sip:9@x","replaces_call_id":"c-2","x":1}', {"replaces_call_id": "c-2"}),
    "call-hangup": ('{"call_id":"c-1","x":1}', {"call_id": "c-1"}),
    "call-incoming": (
        (
            '{"call_id":"c-1","seq":0,"state":"TRYING","user_id":434,"aor":"434@pbx.example","from_uri":"sip:9@x",'
            '"from_number":"9","from_name":"Nina","to_uri":"sip:434@pbx.example","sdp":"v=0\\r\\n","x":1}'
        ),
        {"seq": 0, "from_number": "9", "from_name": "Nina"},
    ),
    "call-trying": ('{"call_id":"c-1","seq":0,"state":"TRYING","user_id":434,"x":1}', {"state": "TRYING"}),
    "call-progress": ('{"call_id":"c-1","seq":1,"state":"PROGRESS","user_id":434,"x":1}', {"sdp": None}),
    "call-remote-ringing": ('{"call_id":"c-1","seq":1,"state":"RINGING","user_id":434,"x":1}', {"state": "RINGING"}),
    "call-answered": (
        '{"call_id":"c-1","seq":2,"state":"TALKING","user_id":434,"sdp":"v=0\\r\\n"}',
        {"sdp": "v=0\r\n"},
    ),
    "call-sdp": (
        '{"call_id":"c-1","seq":3,"state":"TALKING","user_id":434,"sdp_type":"answer","sdp":"v=0\\r\\n"}',
        {"sdp_type": "answer"},
    ),
    "call-ice": ('{"call_id":"c-1","seq":3,"state":"TRYING","user_id":434,"candidate":""}', {"candidate": ""}),
    "call-held": ('{"call_id":"c-1","seq":4,"state":"TALKING","user_id":434,"held":true}', {"held": True}),
    "call-dtmf": (
        '{"call_id":"c-1","seq":5,"state":"TALKING","user_id":434,"digit":"#","duration_ms":160}',
        {"digit": "#", "duration_ms": 160},
    ),
    "call-transferred": ('{"call_id":"c-1","seq":6,"state":"TALKING","user_id":434,"to":"sip:9@x"}', {"to": "sip:9@x"}),
    "call-ended": (
        (
            '{"call_id":"c-1","seq":7,"state":"FINISHED","user_id":434,"reason":"normal","sip_code":200,'
            '"started_at":"2026-11-24T17:30:00Z","ended_at":"2026-11-24T18:31:00.5+01:00",'
            '"quality":{"codec":"opus","sip_lost":3,"mos":4.1}}'
        ),
        {"reason": "normal", "ended_at": datetime(2026, 11, 24, 17, 31, 0, 500000, UTC)},
    ),
    "call-held-by": (
        (
            '{"call_id":"c-1","instance":"bridge-1","epoch":2,"direction":"incoming","aor":"434@pbx.example","user_id":434,'
            '"state":"TALKING","sip_dialog":{"call_id":"x@y","local_tag":"a","remote_tag":"b","local_uri":"sip:a@x",'
            '"remote_uri":"sip:b@x","route_set":["<sip:p;lr>"],"local_cseq":3},"started_at":"2026-11-24T17:30:00Z","x":1}'
        ),
        {"epoch": 2, "direction": "incoming"},
    ),
    "instance-heartbeat": (
        (
            '{"instance":"bridge-1","service":"bridge","version":"1.2","at":"2026-11-24T17:30:00Z","load":12,"capacity":200,'
            '"draining":true,"region":"eu"}'
        ),
        {"service": "bridge", "load": 12, "capacity": 200, "draining": True},
    ),
}


def headers(name: str, **other: str | None) -> tuple[tuple[str, bytes], ...]:
    """The headers of the CloudEvents SDK for Java, whose order and extras differ from ours."""
    pairs = {
        "ce_type": f"im.dlg.sip.{name}",
        "content-type": "application/json; charset=UTF-8",
        "ce_source": "/dialog/server-3",
        "ce_id": "0b9f5bd8-71ab-4b2a-a8c9-5a1f7a3e7b11",
        "ce_specversion": "1.0",
        "ce_time": "2026-11-24T17:29:59.123Z",
        "ce_dataregion": "eu",
        "X-Tracing": "1",
        **other,
    }
    return tuple((key, value.encode()) for key, value in pairs.items() if value is not None)


def test_there_is_a_message_for_every_event() -> None:
    assert {f"im.dlg.sip.{name}" for name in MESSAGES} == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_foreign_message_is_read(name: str) -> None:
    body, fields = MESSAGES[name]
    envelope = decode(body.encode(), headers(name))
    assert name == envelope.event.NAME
    assert {key: getattr(envelope.event, key) for key in fields} == fields
    assert envelope.id == "0b9f5bd8-71ab-4b2a-a8c9-5a1f7a3e7b11"
    assert envelope.source == "/dialog/server-3"
    assert envelope.time == datetime(2026, 11, 24, 17, 29, 59, 123000, UTC)


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_what_we_write_reads_back_the_same(name: str) -> None:
    event = decode(MESSAGES[name][0].encode(), headers(name)).event
    envelope = Envelope("id-1", "/bridge/b1", "key", datetime(2026, 1, 1, tzinfo=UTC), event, "00-ab-cd-01")
    value, written = encode(envelope)
    assert decode(value, written) == envelope
    assert dict(written)["ce_type"] == f"im.dlg.sip.{name}".encode()


CANARY = "s3cr3t-canary"


@pytest.mark.parametrize(
    ("value", "given", "words"),
    [
        (b'{"user_id":1}', headers("user-created", ce_id=None), "ce_id is missing"),
        (b'{"user_id":1}', headers("user-created", ce_specversion="0.3"), "ce_specversion"),
        (b'{"user_id":1}', headers("no-such-event"), "no-such-event"),
        (b'{"user_id":1}', headers("user-created", ce_time=CANARY), "ce_time"),
        (None, headers("user-created"), "no value"),
        (b"", headers("user-created"), "JSON"),
        (CANARY.encode(), headers("user-created"), "JSON"),
        (f'{{"user_id":"{CANARY}"}}'.encode(), headers("user-created"), "user_id"),
        (f'{{"user_id":1,"is_bot":"{CANARY}"}}'.encode(), headers("user-created"), "is_bot"),
        (f'["{CANARY}"]'.encode(), headers("user-created"), "body"),
        (b'{"user_id":-1}', headers("user-created"), "user_id"),
        (b'{"user_id":2147483648}', headers("user-created"), "user_id"),
        (f'{{"call_id":"{CANARY} "}}'.encode(), headers("call-hangup"), "call_id"),
        (f'{{"call_id":"c","reason":"{CANARY}"}}'.encode(), headers("call-reject"), "reason"),
        (f'{{"call_id":"c","digits":"{CANARY}"}}'.encode(), headers("call-send-dtmf"), "digits"),
        (b'{"user_id":1}', (("ce_id", b"\xff\xfe"),), "UTF-8"),
        (b"\xff\xfe", headers("user-created"), "JSON"),
    ],
)
def test_a_malformed_message_is_told_without_quoting_it(
    value: bytes | None, given: tuple[tuple[str, bytes], ...], words: str
) -> None:
    with pytest.raises(MalformedEventError) as caught:
        decode(value, given)
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.__cause__)
    assert CANARY not in str(caught.value.__cause__)


def test_a_relayed_message_is_read() -> None:
    relay = Relay.decode(
        b"BYE sip:a@x SIP/2.0\r\n\r\n",
        (("sip_sender", b"registrar-1"), ("sip_kind", b"request"), ("sip_transaction", b"t1"), ("sip_mapping", b"a@x")),
    )
    assert relay == Relay(RelayKind.REQUEST, "t1", "a@x", b"BYE sip:a@x SIP/2.0\r\n\r\n", sender="registrar-1")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "sip_kind is missing"),
        ((("sip_kind", CANARY.encode()), ("sip_transaction", b"t"), ("sip_mapping", b"a")), "sip_kind is none of"),
        ((("sip_kind", b"\xff"),), "UTF-8"),
    ],
)
def test_a_malformed_relay_is_told_without_quoting_it(given: tuple[tuple[str, bytes], ...], words: str) -> None:
    with pytest.raises(MalformedRelayError) as caught:
        Relay.decode(b"", given)
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
