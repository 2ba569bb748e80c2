"""The session descriptions of a test phone: what it offers, answers, and what was agreed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dialog_sip.sdp import (
    Codec,
    Connection,
    Direction,
    Media,
    Origin,
    SdpError,
    Session,
    answer_codecs,
    answer_direction,
    answer_session,
    parse_sdp,
)

from dialog_sandbox.media.audio_port import Address, AudioFormat
from dialog_sandbox.media.g711 import Law

EVENTS = "telephone-event"
PCMU, PCMA = Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000)
DIGITS = Codec(101, EVENTS, 8000, fmtp="0-15")
OPUS = Codec(111, "opus", 48000, 2, "useinbandfec=1")
OPUS_DIGITS = Codec(110, EVENTS, 48000, fmtp="0-15")

G711 = (PCMU, PCMA, DIGITS)
"""What a phone that plays and hears speaks."""
ECHOABLE = (OPUS, PCMU, PCMA, OPUS_DIGITS, DIGITS)
"""What a phone that only echoes takes."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What offer and answer came to, from our side."""

    remote: Address | None
    """Where sound goes; None for nowhere."""
    audio: AudioFormat
    direction: Direction
    """Of ours."""


def describe(local: Address, origin: Origin, codecs: Sequence[Codec], direction: Direction) -> Session:
    """Return an offer of one audio section."""
    media = Media("audio", local[1], codecs=tuple(codecs), direction=direction, ptime=20)
    return Session(origin, (media,), connection=Connection.to(local[0]))


def answer(
    offer: Session, local: Address, origin: Origin, supported: Sequence[Codec], direction: Direction
) -> tuple[Session, Agreed]:
    """Return the answer to an offer, and what it agrees on. Raises :class:`SdpError` where nothing is in common."""
    for index, section in enumerate(offer.media):
        common = answer_codecs(section.codecs, supported)
        if section.kind == "audio" and not section.is_declined and _sound(common) is not None:
            ours = answer_direction(offer.direction_of(section), direction)
            media = Media("audio", local[1], section.protocol, common, direction=ours, ptime=20, mid=section.mid)
            session = answer_session(offer, origin, {index: media}, Connection.to(local[0]))
            return session, _agree(offer, section, common, ours)
    raise SdpError("no audio codec in common")


def agreed(remote: Session, codecs: Sequence[Codec], direction: Direction) -> Agreed:
    """Return what an answer to our offer agrees on. Raises :class:`SdpError` where that is nothing."""
    section = remote.section("audio")
    common = answer_codecs(section.codecs, codecs) if section is not None else ()
    if section is None or _sound(common) is None:
        raise SdpError("the answer takes no audio of ours")
    return _agree(remote, section, common, answer_direction(remote.direction_of(section), direction))


def read(body: bytes) -> Session | None:
    """Read a body that may be empty. Raises :class:`SdpError`."""
    return parse_sdp(body) if body.strip() else None


def _sound(codecs: Sequence[Codec]) -> Codec | None:
    return next((codec for codec in codecs if codec.name.lower() != EVENTS), None)


def _agree(remote: Session, section: Media, common: Sequence[Codec], direction: Direction) -> Agreed:
    sound = _sound(common)
    if sound is None:
        raise SdpError("no audio codec in common")
    law = Law(sound.name.upper()) if sound.name.upper() in Law.__members__ else None
    events = next(
        (codec for codec in common if codec.name.lower() == EVENTS and codec.clock_rate == sound.clock_rate), None
    )
    audio = AudioFormat(
        sound.payload_type,
        law,
        events.payload_type if events is not None else None,
        events.clock_rate if events is not None else sound.clock_rate,
    )
    connection = remote.connection_of(section)
    nowhere = connection is None or connection.is_nowhere
    return Agreed(None if nowhere or connection is None else (connection.address, section.port), audio, direction)
