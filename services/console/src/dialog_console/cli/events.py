"""``dialog-sip events``: speak on the bus as the dialog server would, and listen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from dialog_sandbox.errors import SandboxError

from dialog_console.cli.bus import DEFAULT_PREFIX, ConfOption, KafkaOption, PrefixOption, caught_up, kafka_settings, run

if TYPE_CHECKING:
    from dialog_runtime.bus.kafka import KafkaBus
    from dialog_runtime.bus.record import Record
    from dialog_schemas.event import Event
    from dialog_schemas.topics import Topic

app = typer.Typer(no_args_is_help=True, help="Publish events as the dialog server would, and follow topics.")

CRLF = b"\r\n"
_NOT_SHOWN = {"sdp"}
"""Fields too long for a line; ``--json`` has them."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def emit(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The event, such as user-created or call-hangup.")],
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
) -> None:
    """Publish an event of the dialog server; its fields are options.

    Examples:
      dialog-sip events emit user-created --user-id 434 --name Ann

      dialog-sip events emit user-deleted --user-id 434

      dialog-sip events emit call-hangup --call-id 5f1c

    """
    topic, event = parse(name, context.args)
    run(kafka_settings(conf, kafka, prefix), lambda bus: bus.publisher.publish(topic, key_of(event), event))
    typer.echo(f"{topic.name} {key_of(event)} {name} {event.model_dump_json(by_alias=True)}")


@app.command()
def tail(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Topics without their prefix; all where none is named.")
    ] = None,
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a record, with all of it.")] = False,
) -> None:
    """Print the records of topics as they come; Ctrl-C ends it.

    Examples:
      dialog-sip events tail

      dialog-sip events tail sip.registrations call.events --from-start

    """
    from dialog_schemas.topics import INSTANCES, TOPICS

    chosen = [topic_named(topic) for topic in topics] if topics else [it for it in TOPICS if it is not INSTANCES]
    show = _as_json if as_json else line

    async def follow(bus: KafkaBus) -> None:
        tails = [bus.tail(topic, lambda record: _print(show(record)), from_end=not from_start) for topic in chosen]
        await caught_up(*tails)
        await asyncio.Event().wait()

    try:
        run(kafka_settings(conf, kafka, prefix), follow)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def topic_named(name: str) -> Topic:
    """Return the topic. Raises :class:`SandboxError`."""
    from dialog_schemas.topics import TOPICS, inbox

    if name.startswith("inbox."):
        return inbox(name.removeprefix("inbox."))
    found = next((topic for topic in TOPICS if topic.name == name), None)
    if found is None:
        raise SandboxError(f"no topic {name}: there are {', '.join(topic.name for topic in TOPICS)}")
    return found


def parse(name: str, options: Sequence[str]) -> tuple[Topic, Event]:
    """Read an event from ``--field value`` pairs. Raises :class:`SandboxError`."""
    from dialog_schemas.topics import CALL_COMMANDS, USERS
    from pydantic import ValidationError

    models = {model.NAME: (topic, model) for topic in (USERS, CALL_COMMANDS) for model in topic.events}
    if name not in models:
        raise SandboxError(f"the dialog server has no event {name}: there are {', '.join(models)}")
    topic, model = models[name]
    fields = _fields(options)
    if unknown := fields.keys() - model.model_fields.keys():
        raise SandboxError(f"{name} has no {', '.join(sorted(unknown))}: it has {', '.join(model.model_fields)}")
    try:
        return topic, model.model_validate(fields)
    except ValidationError as error:
        problems: list[Any] = error.errors(include_url=False)
        words = "; ".join(f"--{str(it['loc'][0]).replace('_', '-')}: {it['msg']}" for it in problems)
        raise SandboxError(f"{name}: {words}") from error


def key_of(event: Event) -> str:
    """Return the key that the contract gives the event."""
    fields = event.model_dump()
    return str(fields.get("call_id") or fields["user_id"])


def _fields(options: Sequence[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    words = iter(options)
    for word in words:
        if not word.startswith("--"):
            raise SandboxError(f"{word!r} is no option: fields are written as --user-id 434")
        name, given, value = word[2:].partition("=")
        text = value if given else next(words, None)
        if text is None:
            raise SandboxError(f"--{name} has no value")
        fields[name.replace("-", "_")] = text
    return fields


def line(record: Record) -> str:
    """Return a record as one line for people."""
    when = record.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"{when} {record.topic:<18} {record.key or '-':<24} {_content(record)}"


def _content(record: Record) -> str:
    from dialog_runtime.bus.errors import HOPELESS
    from dialog_schemas.event import TYPE_PREFIX

    if record.is_tombstone:
        return "(gone)"
    try:
        if record.is_relay:
            relay = record.relay()
            return f"{relay.kind} {relay.sip.partition(CRLF)[0].decode(errors='replace')}"
        event = record.envelope().event
    except HOPELESS as error:
        return f"? {error}"
    fields = event.model_dump(mode="json", exclude_none=True)
    shown = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _NOT_SHOWN and value != "")
    return f"{event.type().removeprefix(TYPE_PREFIX)} {shown}"


def _as_json(record: Record) -> str:
    value = record.value.decode(errors="replace") if record.value is not None else None
    headers = {name: raw.decode(errors="replace") for name, raw in record.headers}
    position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return json.dumps(
        position | {"key": record.key, "time": record.time.isoformat(), "headers": headers, "value": value}
    )


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
