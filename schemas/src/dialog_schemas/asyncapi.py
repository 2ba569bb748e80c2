"""The AsyncAPI 3.0 document of the bus: channels, keys, headers and messages, made from the topic table."""

from __future__ import annotations

import re
from typing import Any

from dialog_schemas.event import Event
from dialog_schemas.relay import RelayKind
from dialog_schemas.topics import SIP_REQUESTS, TOPICS, Topic, inbox

_INBOX = inbox("{instance}")
_RELAY = "relay"
_DEAD_LETTER = "dead-letter"


def document(events: list[type[Event]]) -> dict[str, Any]:
    """Return the whole document for the given events."""
    topics = [*TOPICS, _INBOX]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "dialog-sip",
            "version": "1.0.0",
            "description": (
                "SIP integration of the dialog messenger. Events are CloudEvents 1.0 in Kafka's binary mode: "
                "attributes in ce_* headers, the event as JSON in the value. Consumers ignore fields "
                "that they do not know. Topic names carry the prefix of services.kafka.topic-prefix, by default dialog."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {_channel_name(topic): _channel(topic) for topic in topics},
        "operations": {name: operation for topic in topics for name, operation in _operations(topic).items()},
        "components": {
            "messages": {event.NAME: _message(event) for event in events}
            | {_RELAY: _relay_message(), _DEAD_LETTER: _dead_letter_message()},
            "schemas": _schemas(events),
        },
    }


def _channel_name(topic: Topic) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", topic.name).strip("-")


def _messages(topic: Topic) -> list[str]:
    names = [event.NAME for event in topic.events]
    if topic.tombstone is not None:
        names.append(topic.tombstone.NAME)
    if topic.name in {SIP_REQUESTS.name, _INBOX.name}:
        names.append(_RELAY)
    return names or [_DEAD_LETTER]


def _channel(topic: Topic) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": f"dialog.{topic.name}",
        "description": f"{topic.summary} Written by {topic.producer}, read by {topic.consumers}. Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(topic)},
        "bindings": {"kafka": _kafka(topic)},
    }
    if "{instance}" in topic.name:
        channel["parameters"] = {"instance": {"description": "Instance id of the one that reads it."}}
    return channel


def _kafka(topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": [topic.cleanup.value]}
    if topic.retention is not None:
        configuration["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    return {"topicConfiguration": configuration, "bindingVersion": "0.5.0"}


def _operations(topic: Topic) -> dict[str, Any]:
    name = _channel_name(topic)
    channel = {"$ref": f"#/channels/{name}"}
    return {
        f"send-{name}": {"action": "send", "channel": channel, "summary": f"By {topic.producer}."},
        f"receive-{name}": {"action": "receive", "channel": channel, "summary": f"By {topic.consumers}."},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": event.type(),
        "summary": _summary(event),
        "headers": _cloudevent_headers(event),
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
    }
    if any(topic.tombstone is event for topic in TOPICS):
        message["description"] = "On the wire a tombstone: the key with no value and no headers."
        message["payload"] = {"type": "null"}
        del message["headers"]
    return message


def _summary(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split())


def _text(**more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON Schema
    return {"type": "string", **more}


def _cloudevent_headers(event: type[Event]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
        "properties": {
            "ce_specversion": _text(const="1.0"),
            "ce_id": _text(description="Unique per source; handlers drop a pair that they have seen."),
            "ce_source": _text(),
            "ce_type": _text(const=event.type()),
            "ce_subject": _text(description="The record's key."),
            "ce_time": _text(format="date-time"),
            "ce_traceparent": _text(description="W3C Trace Context."),
            "content-type": _text(const="application/json"),
        },
    }


def _relay_message() -> dict[str, Any]:
    return {
        "name": _RELAY,
        "summary": "A SIP message between registrar and bridge.",
        "contentType": "message/sip",
        "headers": {
            "type": "object",
            "required": ["sip_kind", "sip_transaction", "sip_mapping", "sip_sender"],
            "properties": {
                "sip_kind": _text(enum=[kind.value for kind in RelayKind]),
                "sip_transaction": _text(description="Named by who starts it; unique."),
                "sip_mapping": _text(description="AOR of the mapping on whose behalf it travels."),
                "sip_sender": _text(description="Instance id of the sender: answers go to its inbox."),
                "sip_call": _text(description="The messenger's call id, once there is one."),
                "sip_flow": _text(description="The registrar's flow."),
                "sip_local": _text(const="1", description="A response that the registrar made itself."),
            },
        },
        "payload": {"type": "string", "description": "Raw SIP; empty for cancel and ack-timeout."},
    }


def _dead_letter_message() -> dict[str, Any]:
    names = ("topic", "partition", "offset", "error", "source", "time")
    return {
        "name": _DEAD_LETTER,
        "summary": "A record that could not be handled, as it came, and why in further headers.",
        "headers": {"type": "object", "properties": {f"dead_letter_{name}": _text() for name in names}},
        "payload": {},
    }


def _schemas(events: list[type[Event]]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for event in events:
        schema = event.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[event.__name__] = schema
    return dict(sorted(schemas.items()))
