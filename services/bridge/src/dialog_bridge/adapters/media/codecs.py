"""Which codecs both sides use. A relay decodes nothing, so each must be spoken by the client and by the PBX.

The choice of the PBX decides an outgoing call (its answer is to the client's own list), the choice of the client an
incoming one. Format parameters say what their sender can take, so they travel to the other side as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dialog_sip.sdp import Codec

OPUS = Codec(111, "opus", 48000, 2, fmtp="minptime=10;useinbandfec=1")
PCMU = Codec(0, "PCMU", 8000)
PCMA = Codec(8, "PCMA", 8000)
AUDIO = (OPUS, PCMU, PCMA)
"""In order of preference, with the payload types of our own offers."""

_EVENT_NAME = "telephone-event"
EVENTS_8000 = Codec(101, _EVENT_NAME, 8000, fmtp="0-15")
EVENTS_48000 = Codec(110, _EVENT_NAME, 48000, fmtp="0-15")
"""Beside Opus, since events share the timestamps of the audio (RFC 4733 section 2.1)."""

_AUDIO_KEYS = frozenset(codec.key for codec in AUDIO)


def is_audio(codec: Codec) -> bool:
    """Return whether it is an audio codec that can be relayed."""
    return codec.key in _AUDIO_KEYS


def is_events(codec: Codec) -> bool:
    """Return whether it carries telephone events (RFC 4733)."""
    return codec.name.lower() == _EVENT_NAME


@dataclass(frozen=True, slots=True)
class Pair:
    """One audio codec with the payload type of each side."""

    web: Codec
    sip: Codec


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is spoken on both sides. The first pair is what the client sends."""

    audio: tuple[Pair, ...] = ()
    web_events: Codec | None = None
    sip_events: Codec | None = None

    @property
    def sip_codecs(self) -> tuple[Codec, ...]:
        """The formats of the SIP side, best first."""
        return _with_events((pair.sip for pair in self.audio), self.sip_events)

    @property
    def web_codecs(self) -> tuple[Codec, ...]:
        """The formats of the client's side, best first."""
        return _with_events((pair.web for pair in self.audio), self.web_events)

    def first_only(self) -> Agreement:
        """Return it with the first audio codec alone."""
        return replace(self, audio=self.audio[:1])


def our_offer(theirs: Sequence[Codec] | None) -> tuple[Codec, ...]:
    """Return what to offer one side, given what the other one speaks.

    Opus comes first, then the other side's order. Events are always offered: keys can be sent and read without the
    other side. None: the other side will only say when this one has chosen, so only what every PBX speaks is offered.
    """
    known = (PCMU, PCMA) if theirs is None else [codec for codec in theirs if is_audio(codec)]
    audio = sorted((_ours(codec) for codec in known), key=lambda codec: codec.key != OPUS.key)
    if not audio:
        return ()
    events = (EVENTS_48000, EVENTS_8000) if audio[0].key == OPUS.key else (EVENTS_8000,)
    return (*dict.fromkeys(audio), *events)


def agree(web: Sequence[Codec], sip: Sequence[Codec], *, chooser: Sequence[Codec]) -> Agreement:
    """Return what both sides speak, in the order of ``chooser``: the one of the two that has answered."""
    web_audio = {codec.key: codec for codec in reversed(web) if is_audio(codec)}
    sip_audio = {codec.key: codec for codec in reversed(sip) if is_audio(codec)}
    keys = [codec.key for codec in chooser if codec.key in web_audio and codec.key in sip_audio]
    pairs = tuple(Pair(web_audio[key], sip_audio[key]) for key in dict.fromkeys(keys))
    if not pairs:
        return Agreement()
    clock_rate = pairs[0].web.clock_rate
    return Agreement(pairs, _events(web, clock_rate), _events(sip, clock_rate))


def _events(codecs: Iterable[Codec], clock_rate: int) -> Codec | None:
    found = [codec for codec in codecs if is_events(codec) and codec.clock_rate]
    return min(found, key=lambda codec: codec.clock_rate != clock_rate, default=None)


def _ours(theirs: Codec) -> Codec:
    ours = next(codec for codec in AUDIO if codec.key == theirs.key)
    return replace(ours, fmtp=theirs.fmtp or ours.fmtp)


def _with_events(audio: Iterable[Codec], events: Codec | None) -> tuple[Codec, ...]:
    return (*audio,) if events is None else (*audio, events)
