from __future__ import annotations

from typing import Any

import pytest
from dialog_runtime.table.check import check
from dialog_runtime.table.rows import AOR_MAX, Row
from dialog_schemas.mappings import MappingRejected, MappingUpserted, PeerType
from hypothesis import given
from hypothesis import strategies as st

GOOD: dict[str, Any] = {
    "sip_user": "434", "sip_host": "pbx.example.com", "revision": "1.7", "sip_port": "5060",
    "sip_parameters": '{"transport": "tcp"}', "sip_headers": "{}", "peer_type": "1", "peer_id": "434",
    "register": "true", "can_call": "true", "can_be_called": "false",
}  # fmt: skip


def usable(**columns: str | None) -> MappingUpserted:
    event = check(Row(**{**GOOD, **columns}))
    assert isinstance(event, MappingUpserted), event
    return event


def reason(**columns: str | None) -> str:
    event = check(Row(**{**GOOD, **columns}))
    assert isinstance(event, MappingRejected), event
    return event.reason


def test_a_good_row_becomes_an_event() -> None:
    event = usable()
    assert (event.aor, event.sip_user, event.sip_host, event.sip_port) == (
        "434@pbx.example.com", "434", "pbx.example.com", 5060)  # fmt: skip
    assert (event.transport, event.media, event.handshake, event.peer_type, event.peer_id) == (
        "tcp", "auto", None, PeerType.USER, 434)  # fmt: skip
    assert (event.registers, event.can_call, event.can_be_called, event.revision) == (True, True, False, "1.7")


@pytest.mark.parametrize(
    ("transport", "port"), [("udp", 5060), ("tcp", 5060), ("tls", 5061), ("ws", 80), ("wss", 443), ("TCP", 5060)]
)
def test_a_port_that_is_not_there_is_that_of_the_transport(transport: str, port: int) -> None:
    event = usable(
        sip_port=None, sip_parameters=f'{{"transport": "{transport}"}}', sip_headers='{"host": "pbx.example.com"}'
    )
    assert (event.transport, event.sip_port) == (transport.lower(), port)


def test_null_turns_a_switch_off_and_leaves_the_peer_unknown() -> None:
    event = usable(
        sip_parameters=None, sip_headers=None, peer_type=None, peer_id=None, register=None, can_call=None,
        can_be_called=None,
    )  # fmt: skip
    assert (event.transport, event.peer_type, event.peer_id) == ("udp", PeerType.UNKNOWN, 0)
    assert (event.registers, event.can_call, event.can_be_called) == (False, False, False)


def test_a_websocket_row_has_its_handshake() -> None:
    headers = '{"host": "example.com:8443", "location": "/index"}'
    event = usable(sip_parameters='{"transport": "wss", "method": "get"}', sip_headers=headers)
    assert event.handshake is not None
    assert event.handshake.model_dump() == {"method": "GET", "host": "example.com:8443", "location": "/index"}


def test_the_location_of_a_handshake_may_be_left_out() -> None:
    handshake = usable(sip_parameters='{"transport": "ws"}', sip_headers='{"host": "example.com"}').handshake
    assert handshake is not None
    assert (handshake.method, handshake.location) == ("GET", "/")


def test_the_media_mode_is_read_from_the_parameters() -> None:
    assert usable(sip_parameters='{"transport": "udp", "media": "relay"}').media == "relay"


@pytest.mark.parametrize("host", ["pbx", "10.0.0.1", "[2001:db8::1]", "my_pbx.internal", "xn--bcher-kva.example."])
def test_hosts_that_a_sip_uri_may_have(host: str) -> None:
    assert usable(sip_host=host).sip_host == host


@pytest.mark.parametrize("user", ["434", "+4989123", "a.b-c_d", "%23100", "alice;x=y"])
def test_users_that_a_sip_uri_may_have(user: str) -> None:
    assert usable(sip_user=user).sip_user == user


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"sip_user": None}, "sip_user is empty"),
        ({"sip_user": "#100"}, "sip_user holds '#', which a SIP address cannot: remove it or write %23"),
        ({"sip_user": "a b"}, "write %20"),
        ({"sip_host": ""}, "sip_host is empty"),
        ({"sip_host": "pbx.example.com:5060"}, "write the port into sip_port"),
        ({"sip_host": "2001:db8::1"}, "in brackets, [2001:db8::1]"),
        ({"sip_host": "pbx example"}, "write a host name"),
        ({"sip_port": "0"}, "sip_port is 0: write a number from 1 to 65535"),
        ({"sip_port": "65536"}, "sip_port is 65536"),
        ({"sip_port": "sip"}, "sip_port is 'sip': write a whole number"),
        ({"sip_parameters": '{"transport": '}, "sip_parameters is not JSON (character 15"),
        ({"sip_parameters": '["tcp"]'}, "sip_parameters is JSON, but no object"),
        ({"sip_parameters": '{"transport": "sctp"}'}, "write one of udp, tcp, tls, ws, wss"),
        ({"sip_parameters": '{"transport": 5}'}, "sip_parameters.transport is no text"),
        ({"sip_parameters": '{"media": "proxy"}'}, "write one of auto, direct, relay"),
        ({"sip_parameters": '{"transport": "ws"}'}, 'write {"host": "example.com:port"}'),
        ({"sip_parameters": '{"transport": "ws"}', "sip_headers": '{"host": "a b"}'}, "write host or host:port"),
        ({"sip_parameters": '{"transport": "ws"}', "sip_headers": '{"host": "a", "location": "x"}'}, "starts with /"),
        ({"sip_parameters": '{"transport": "ws", "method": "G T"}', "sip_headers": '{"host": "a"}'}, "HTTP method"),
        ({"peer_type": "5"}, "peer_type is 5: write a number from 0 to 4"),
        ({"peer_id": str(2**31)}, "peer_id is 2147483648"),
        ({"register": "maybe"}, "register is 'maybe': write true or false"),
        ({"sip_user": "1" * AOR_MAX}, "too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_rejected_with_words_that_say_what_to_write(columns: dict[str, Any], words: str) -> None:
    assert words in reason(**columns)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert reason(sip_port="0", peer_type="9", register="x").count(";") == 2


def test_a_row_without_an_address_can_still_be_reported() -> None:
    event = check(Row(None, None, "1.1"))
    assert (event.aor, isinstance(event, MappingRejected)) == ("@", True)


@given(st.lists(st.one_of(st.none(), st.text(max_size=40)), min_size=10, max_size=10))
def test_any_row_gives_an_event(columns: list[str | None]) -> None:
    names = [name for name in GOOD if name != "revision"]
    event = check(Row(revision="1.1", **dict(zip(names, columns, strict=True))))
    assert 1 <= len(event.aor) <= AOR_MAX
