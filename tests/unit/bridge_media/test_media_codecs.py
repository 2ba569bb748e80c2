"""Which codecs both sides end up with."""

from __future__ import annotations

from dialog_bridge.adapters.media.codecs import (
    EVENTS_8000,
    EVENTS_48000,
    OPUS,
    PCMA,
    PCMU,
    Agreement,
    Pair,
    agree,
    our_offer,
)
from dialog_bridge.adapters.media.direction import Route, routes_to_sip, routes_to_web
from dialog_sip.sdp import Codec

CHROME = (
    Codec(111, "opus", 48000, 2, fmtp="minptime=10;useinbandfec=1"),
    Codec(63, "red", 48000, 2),
    Codec(9, "G722", 8000),
    Codec(0, "PCMU", 8000),
    Codec(8, "PCMA", 8000),
    Codec(13, "CN", 8000),
    Codec(110, "telephone-event", 48000),
    Codec(126, "telephone-event", 8000),
)
PBX = (
    Codec(8, "pcma", 8000),
    Codec(18, "G729", 8000),
    Codec(107, "OPUS", 48000, 2, fmtp="maxplaybackrate=16000"),
    Codec(0, "PCMU", 8000),
    Codec(101, "telephone-event", 8000, fmtp="0-16"),
)


def names(codecs: tuple[Codec, ...]) -> list[tuple[int, str]]:
    return [(codec.payload_type, codec.name) for codec in codecs]


def test_offer_for_the_other_side() -> None:
    assert our_offer(CHROME) == (OPUS, PCMU, PCMA, EVENTS_48000, EVENTS_8000)
    to_client = our_offer(PBX)
    assert names(to_client)[:3] == [(111, "opus"), (8, "PCMA"), (0, "PCMU")]
    assert to_client[0].fmtp == "maxplaybackrate=16000"
    assert our_offer((Codec(18, "G729", 8000), EVENTS_8000)) == ()
    assert our_offer(None) == (PCMU, PCMA, EVENTS_8000)
    assert our_offer((PCMU, PCMU)) == (PCMU, EVENTS_8000)


def test_the_answerer_chooses() -> None:
    by_pbx = agree(CHROME, PBX, chooser=PBX)
    assert [pair.web.name for pair in by_pbx.audio] == ["PCMA", "opus", "PCMU"]
    by_client = agree(CHROME, PBX, chooser=CHROME)
    assert [pair.sip.payload_type for pair in by_client.audio] == [107, 0, 8]
    assert names(by_client.first_only().sip_codecs) == [(107, "OPUS"), (101, "telephone-event")]
    assert names(by_client.web_codecs) == [(111, "opus"), (0, "PCMU"), (8, "PCMA"), (110, "telephone-event")]


def test_events_have_the_clock_of_the_audio_where_they_can() -> None:
    assert agree(CHROME, PBX, chooser=(PCMU,)).web_events == Codec(126, "telephone-event", 8000)
    opus = agree(CHROME, PBX, chooser=(OPUS,))
    assert (opus.web_events and opus.web_events.clock_rate) == 48000
    assert (opus.sip_events and opus.sip_events.clock_rate) == 8000
    assert agree(CHROME, (PCMU,), chooser=(PCMU,)).sip_events is None


def test_nothing_in_common() -> None:
    assert agree(CHROME, (Codec(18, "G729", 8000),), chooser=CHROME) == Agreement()
    assert agree((), (), chooser=()) == Agreement()
    assert agree((Codec(111, "opus", 48000, 1),), (OPUS,), chooser=(OPUS,)) == Agreement()


def test_routes() -> None:
    agreement = Agreement((Pair(OPUS, Codec(96, "opus", 48000, 2)),), Codec(110, "telephone-event", 48000), EVENTS_8000)
    assert routes_to_sip(agreement) == {
        111: Route(96, 48000, 48000),
        110: Route(101, 48000, 8000, is_event=True),
    }
    assert routes_to_web(agreement) == {
        96: Route(111, 48000, 48000),
        101: Route(110, 8000, 48000, is_event=True),
    }
    assert routes_to_web(Agreement((Pair(PCMU, PCMU),), None, EVENTS_8000))[101].payload_type is None
