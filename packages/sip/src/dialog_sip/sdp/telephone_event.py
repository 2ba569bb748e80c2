"""Keys as RTP events (RFC 4733 section 2.4): which ones, in the ``fmtp`` of ``telephone-event``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dialog_sip.sdp.codec import Codec

NAME = "telephone-event"
"""Encoding name (RFC 4733 section 2)."""
DTMF = frozenset(range(16))
"""``0``-``9``, ``*``, ``#``, ``A``-``D``."""
MAX_EVENT = 255
"""Largest event code."""


def is_telephone_event(codec: Codec) -> bool:
    """Tell whether a payload type carries events (RFC 4733 section 2)."""
    return codec.name.lower() == NAME


def events_of(codec: Codec) -> frozenset[int]:
    """Return the events that a peer takes; ``0-15`` where it does not say, or not readably (section 2.4.1)."""
    found: set[int] = set()
    text = codec.fmtp.lower().removeprefix("events=")
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if not all(word.isascii() and word.isdigit() and len(word) <= 3 for word in (first, last or first)):
            continue
        found |= set(range(int(first), min(int(last or first), MAX_EVENT) + 1))
    return frozenset(found) or DTMF


def with_events(codec: Codec, events: Iterable[int]) -> Codec:
    """Return the codec with these events in its ``fmtp``, as ranges (section 2.4.1)."""
    return replace(codec, fmtp=",".join(_ranges(sorted(set(events)))))


def event_codec(payload_type: int, clock_rate: int = 8000, events: Iterable[int] = DTMF) -> Codec:
    """Return a payload type for events; its clock is that of the audio beside it (section 2.1)."""
    return with_events(Codec(payload_type, NAME, clock_rate), events)


def event_codec_for(codecs: Iterable[Codec], audio: Codec) -> Codec | None:
    """Return the events that go with an audio codec: those of its clock rate, else any (section 2.1)."""
    found = [codec for codec in codecs if is_telephone_event(codec)]
    same = (codec for codec in found if codec.clock_rate == audio.clock_rate)
    return next(same, found[0] if found else None)


def _ranges(events: list[int]) -> Iterable[str]:
    start = previous = None
    for event in [*events, None]:
        if previous is not None and (event is None or event != previous + 1):
            yield str(start) if start == previous else f"{start}-{previous}"
            start = event
        elif start is None:
            start = event
        previous = event
