"""CloudEvents 1.0 in Kafka's binary mode: attributes as ``ce_*`` headers, the event as a JSON value.

See the CloudEvents Kafka protocol binding, section 3.2. A Scala service produces and reads the same with any
CloudEvents SDK, or none.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from dialog_schemas.event import Event
from dialog_schemas.relay import Headers
from dialog_schemas.topics import EVENT_TYPES

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
_LONGEST_TYPE = 64
_SPEC_VERSION = ("ce_specversion", SPEC_VERSION.encode())
_CONTENT_TYPE = ("content-type", CONTENT_TYPE.encode())


class MalformedEventError(ValueError):
    """A record that is not an event of ours: a dead letter, with this error's words as the reason."""


class Envelope(NamedTuple):
    """The CloudEvents attributes round an event.

    ``id`` is unique per ``source``; handlers drop a pair they have seen.
    """

    id: str
    source: str
    subject: str | None
    time: datetime | None
    event: Event
    trace: str | None = None
    """``traceparent`` of W3C Trace Context, as the CloudEvents distributed tracing extension carries it."""


def encode(envelope: Envelope) -> tuple[bytes, Headers]:
    """Return value and headers of the record."""
    headers = [
        *common_headers(type(envelope.event), envelope.source, envelope.time),
        ("ce_id", envelope.id.encode()),
    ]
    if envelope.subject is not None:
        headers.append(("ce_subject", envelope.subject.encode()))
    if envelope.trace is not None:
        headers.append(("ce_traceparent", envelope.trace.encode()))
    return envelope.event.model_dump_json(by_alias=True, exclude_none=True).encode(), tuple(headers)


def common_headers(kind: type[Event], source: str, time: datetime | None) -> Headers:
    """Return the headers that are the same for all events of one kind, source and time."""
    headers = [_SPEC_VERSION, ("ce_source", source.encode()), ("ce_type", kind.type().encode()), _CONTENT_TYPE]
    if time is not None:
        headers.append(("ce_time", time.isoformat().replace("+00:00", "Z").encode()))
    return tuple(headers)


def decode(value: bytes | None, headers: Headers) -> Envelope:
    """Read a record. Raises :class:`MalformedEventError` with words that an administrator can act on."""
    attributes = _attributes(headers)
    for name in ("ce_specversion", "ce_id", "ce_source", "ce_type"):
        if not attributes.get(name):
            raise MalformedEventError(f"header {name} is missing (CloudEvents 1.0, Kafka binary mode)")
    if not attributes["ce_specversion"].startswith("1."):
        raise MalformedEventError("ce_specversion is not 1.0, which alone is understood")
    model = EVENT_TYPES.get(attributes["ce_type"])
    if model is None:
        raise MalformedEventError(f"ce_type {attributes['ce_type'][:_LONGEST_TYPE]!r} is not known")
    if value is None:
        raise MalformedEventError(f"{attributes['ce_type']} has no value")
    try:
        event = model.model_validate_json(value)
    except ValidationError as error:
        raise MalformedEventError(f"{attributes['ce_type']}: {_in_words(error)}") from error
    return Envelope(
        id=attributes["ce_id"],
        source=attributes["ce_source"],
        subject=attributes.get("ce_subject"),
        time=_time(attributes.get("ce_time")),
        event=event,
        trace=attributes.get("ce_traceparent"),
    )


def _attributes(headers: Headers) -> dict[str, str]:
    try:
        return {name.lower(): raw.decode() for name, raw in headers if raw is not None}
    except UnicodeDecodeError:
        raise MalformedEventError("a record header is not UTF-8") from None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # its words quote the input
        raise MalformedEventError("ce_time is not an RFC 3339 timestamp") from None


def _in_words(error: ValidationError) -> str:
    # Never the input itself: it may be a secret that somebody put into the wrong field.
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_input=False))
