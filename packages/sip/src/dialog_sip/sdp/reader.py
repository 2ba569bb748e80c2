"""Text -> :class:`Session` (RFC 8866 section 5).

Theory of operation: the lines are cut into one block for the session and one for each ``m=``. A block gathers the
fields of its dataclass as it meets its lines; what no rule claims is kept as it came. Only what leaves the description
without meaning is an error: no ``v=0`` in front, an unreadable ``o=``, ``c=`` or ``m=``, a line that is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from dialog_sip.sdp.attributes import DIRECTIONS, MEDIA_RULES, SESSION_RULES, Rule
from dialog_sip.sdp.codec import MAX_PAYLOAD_TYPE, STATIC_CODECS, Codec, parse_rtpmap
from dialog_sip.sdp.order import in_order
from dialog_sip.sdp.session import Connection, Media, Origin, Session
from dialog_sip.sdp.text import SdpError, number, words
from dialog_sip.sdp.values import Attribute, Direction, Line

MAX_LENGTH = 256 * 1024
"""Characters; a description of a browser with every codec and candidate has some 10,000."""
MAX_MEDIA = 128
"""Media sections of a description."""
MAX_LINES = 1024
"""Lines; a call with sound, picture and every candidate has some 300."""
MAX_FORMATS = 256
"""Formats of one media section; there are 128 payload types."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_RTP = re.compile(r"(^|/)S?AVPF?$", re.IGNORECASE)


def parse_sdp(text: str | bytes) -> Session:
    """Read a session description (RFC 8866 section 5). Raises :class:`SdpError` for what is none."""
    if len(text) > MAX_LENGTH:
        raise SdpError(f"longer than {MAX_LENGTH}")
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    session, *media = _blocks(_lines(text))
    if len(media) > MAX_MEDIA:
        raise SdpError(f"more than {MAX_MEDIA} media sections")
    return replace(_session(session), media=tuple(_media(block) for block in media))


def _lines(text: str) -> list[Line]:
    lines = []
    found = _LINE_END.split(text, MAX_LINES + 1)
    if len(found) > MAX_LINES + 1:
        raise SdpError(f"more than {MAX_LINES} lines")
    for position, raw in enumerate(found, 1):
        if not raw.strip():
            continue
        if raw[1:2] != "=":
            raise SdpError(f"line {position} is not of the form x=...")
        lines.append(Line(raw[0], raw[2:]))
    return lines


def _blocks(lines: Iterable[Line]) -> list[list[Line]]:
    blocks: list[list[Line]] = [[]]
    for line in lines:
        if line.type == "m":
            blocks.append([])
        blocks[-1].append(line)
    return blocks


class _Block:
    """The fields of one dataclass, gathered line by line."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.fields: dict[str, Any] = {}
        self.many: dict[str, list[object]] = {}
        self.other: list[Line] = []
        self.unread: list[Attribute] = []
        self._rules = {rule.attribute: rule for rule in rules}

    def once(self, name: str, value: object) -> bool:
        """Set a field and say so, unless it is set already."""
        if name in self.fields:
            return False
        self.fields[name] = value
        return True

    def add(self, name: str, value: object) -> bool:
        self.many.setdefault(name, []).append(value)
        return True

    def take_line(self, line: Line) -> None:
        if line.type == "a":
            attribute = Attribute.parse(line.value)
            if not self.take(attribute):
                self.unread.append(attribute)
        elif line.type != "c" or not self.once("connection", Connection.parse(line.value)):
            self.other.append(line)

    def take(self, attribute: Attribute) -> bool:
        name, value = attribute
        if name in DIRECTIONS and value is None:
            return self.once("direction", Direction(name))
        rule = self._rules.get(name)
        if rule is None:
            return False
        if rule.read is None:
            return value is None and self.once(rule.field, value=True)
        return value is not None and self._read(rule, value)

    def _read(self, rule: Rule, text: str) -> bool:
        if rule.read is None:
            return False
        try:
            value = rule.read(text)
        except ValueError:
            return False
        return self.add(rule.field, value) if rule.many else self.once(rule.field, value)

    def finished(self) -> dict[str, Any]:
        many = {name: tuple(values) for name, values in self.many.items()}
        return self.fields | many | {"other": in_order(self.other), "attributes": tuple(self.unread)}


def _session(lines: Sequence[Line]) -> Session:
    if not lines or lines[0] != Line("v", "0"):
        raise SdpError("does not start with v=0")
    block = _Block(SESSION_RULES)
    for line in lines[1:]:
        if not (
            (line.type == "o" and block.once("origin", Origin.parse(line.value)))
            or (line.type == "s" and block.once("name", line.value))
        ):
            block.take_line(line)
    if "origin" not in block.fields:
        raise SdpError("has no o=")
    if all(line.type != "t" for line in block.other):
        block.other.append(Line("t", "0 0"))
    return Session(**block.finished())


def _media(lines: Sequence[Line]) -> Media:
    block = _MediaBlock(lines[0].value)
    for line in lines[1:]:
        block.take_line(line)
    return Media(**block.finished())


class _MediaBlock(_Block):
    """A media section: also its payload types."""

    def __init__(self, value: str) -> None:
        super().__init__(MEDIA_RULES)
        kind, ports, protocol, *formats = words(value, 3)
        port, slash, count = ports.partition("/")
        self.fields |= {
            "kind": kind,
            "port": number(port, 65535),
            "port_count": number(count, 65535) if slash else 1,
            "protocol": protocol,
        }
        self._codecs: dict[int, Codec] = {}
        self._mapped: set[int] = set()
        self._feedback: dict[int, list[str]] = {}
        self._formats: dict[str, None] = {}
        if len(formats) > MAX_FORMATS:
            raise SdpError(f"more than {MAX_FORMATS} formats")
        is_rtp = _RTP.search(protocol) is not None
        for name in formats:
            self._take_format(name, is_rtp=is_rtp)

    def _take_format(self, name: str, *, is_rtp: bool) -> None:
        if is_rtp and name.isascii() and name.isdigit() and len(name) <= 3 and int(name) <= MAX_PAYLOAD_TYPE:
            self._codecs.setdefault(int(name), STATIC_CODECS.get(int(name), Codec(int(name))))
        else:
            self._formats.setdefault(name)

    def take(self, attribute: Attribute) -> bool:
        reader = _CODEC_ATTRIBUTES.get(attribute.name)
        if reader is None:
            return super().take(attribute)
        try:
            return attribute.value is not None and reader(self, attribute.value)
        except SdpError:
            return False

    def take_rtpmap(self, text: str) -> bool:
        mapped = parse_rtpmap(text)
        known = self._codecs.get(mapped.payload_type)
        if known is None or mapped.payload_type in self._mapped:
            return False
        self._mapped.add(mapped.payload_type)
        self._codecs[known.payload_type] = replace(mapped, fmtp=known.fmtp)
        return True

    def take_fmtp(self, text: str) -> bool:
        codec, value = self._codec_of(text)
        if codec is None or codec.fmtp or not value:
            return False
        self._codecs[codec.payload_type] = replace(codec, fmtp=value)
        return True

    def take_feedback(self, text: str) -> bool:
        if text.startswith("* "):
            return self.add("feedback", text[2:].strip())
        codec, value = self._codec_of(text)
        if codec is None or not value:
            return False
        self._feedback.setdefault(codec.payload_type, []).append(value)
        return True

    def _codec_of(self, text: str) -> tuple[Codec | None, str]:
        payload_type, _, value = text.partition(" ")
        return self._codecs.get(number(payload_type, MAX_PAYLOAD_TYPE)), value.strip()

    def finished(self) -> dict[str, Any]:
        for payload_type, feedback in self._feedback.items():
            self._codecs[payload_type] = replace(self._codecs[payload_type], feedback=tuple(feedback))
        return super().finished() | {
            "codecs": tuple(self._codecs.values()),
            "formats": tuple(self._formats),
        }


_CODEC_ATTRIBUTES = {
    "rtpmap": _MediaBlock.take_rtpmap,
    "fmtp": _MediaBlock.take_fmtp,
    "rtcp-fb": _MediaBlock.take_feedback,
}
