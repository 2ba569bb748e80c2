""":class:`Session` -> text, its lines in the order of RFC 8866 section 5, each ended by CRLF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dialog_sip.sdp.attributes import MEDIA_RULES, SESSION_RULES, Rule
from dialog_sip.sdp.codec import Codec
from dialog_sip.sdp.order import in_order
from dialog_sip.sdp.session import Media, Session
from dialog_sip.sdp.values import Line


def write_sdp(session: Session) -> str:
    """Return the description as text (RFC 8866 section 5)."""
    lines = [*_session(session)]
    for media in session.media:
        lines += _media(media)
    return "".join(f"{line.type}={line.value}\r\n" for line in lines)


def _session(session: Session) -> Iterator[Line]:
    yield from in_order(
        (
            Line("v", "0"),
            Line("o", str(session.origin)),
            Line("s", session.name),
            *([Line("c", str(session.connection))] if session.connection else []),
            *session.other,
        )
    )
    yield from _attributes(session, SESSION_RULES)


def _media(media: Media) -> Iterator[Line]:
    port = str(media.port) if media.port_count == 1 else f"{media.port}/{media.port_count}"
    formats = (*(str(codec.payload_type) for codec in media.codecs), *media.formats)
    yield Line("m", " ".join((media.kind, port, media.protocol, *formats)))
    yield from in_order(([Line("c", str(media.connection))] if media.connection else []) + list(media.other))
    for codec in media.codecs:
        yield from _codec(codec)
    for feedback in media.feedback:
        yield Line("a", f"rtcp-fb:* {feedback}")
    yield from _attributes(media, MEDIA_RULES)


def _codec(codec: Codec) -> Iterator[Line]:
    if codec.name:
        yield Line("a", f"rtpmap:{codec.payload_type} {codec.rtpmap}")
    for feedback in codec.feedback:
        yield Line("a", f"rtcp-fb:{codec.payload_type} {feedback}")
    if codec.fmtp:
        yield Line("a", f"fmtp:{codec.payload_type} {codec.fmtp}")


def _attributes(block: Session | Media, rules: Sequence[Rule]) -> Iterator[Line]:
    for rule in rules:
        for value in _values(getattr(block, rule.field), rule):
            yield Line("a", rule.attribute if rule.read is None else f"{rule.attribute}:{value}")
    if block.direction is not None:
        yield Line("a", block.direction.value)
    for attribute in block.attributes:
        yield Line("a", str(attribute))


def _values(value: object, rule: Rule) -> Iterable[object]:
    if isinstance(value, tuple) and rule.many:
        return value
    return () if value is None or value is False else (value,)
