"""``dialog-sip dead-letters``: events that could not be handled, shown, and put on their topics again."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from dialog_sandbox.errors import SandboxError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dialog_console.cli.bus import DEFAULT_PREFIX, ConfOption, KafkaOption, PrefixOption, caught_up, kafka_settings, run

if TYPE_CHECKING:
    from dialog_runtime.bus.kafka import KafkaBus
    from dialog_runtime.bus.record import Record

    from dialog_console.model.dead_letter import DeadLetter

app = typer.Typer(no_args_is_help=True, help="List and show events that could not be handled, and replay them.")

MOST_KEPT = 10_000
"""The newest; older ones are not looked at."""
MOST_ROWS = 200
"""Shown as a table."""

TopicOption = Annotated[str, typer.Option("--topic", help="Only those that came on this topic, as users.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON, with all of it.")]


@app.command("list")
def list_(
    topic: TopicOption = "",
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, the newest last.

    Examples:
      dialog-sip dead-letters list

      dialog-sip dead-letters list --topic call.commands --json

    """
    found = of_topic(run(kafka_settings(conf, kafka, prefix), read), topic)
    if as_json:
        sys.stdout.write(json.dumps([letter.as_json() for letter in found], indent=2) + "\n")
    else:
        Console(highlight=False).print(shown(found))


@app.command()
def show(
    number: Annotated[int, typer.Argument(min=0, help="As `list` has it.")],
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
    as_json: JsonOption = False,
) -> None:
    """Show all of one dead letter.

    Example:
      dialog-sip dead-letters show 3

    """
    letter = numbered(run(kafka_settings(conf, kafka, prefix), read), number).as_json()
    if as_json:
        sys.stdout.write(json.dumps(letter, indent=2) + "\n")
        return
    headers, value = letter.pop("headers"), letter.pop("value")
    for name, word in (letter | headers).items():
        typer.echo(f"{name}: {'-' if word is None else word}")
    typer.echo("" if value is None else f"\n{value}")


@app.command()
def replay(
    number: Annotated[int | None, typer.Argument(min=0, help="As `list` has it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are, or all of --topic.")] = False,
    topic: TopicOption = "",
    conf: ConfOption = None,
    kafka: KafkaOption = "",
    prefix: PrefixOption = DEFAULT_PREFIX,
) -> None:
    """Put events on their topics again, with the key, value and headers that they came with.

    A replayed event keeps its id: who has handled it already drops it. The dead letter stays, until the topic's
    retention ends it.

    Examples:
      dialog-sip dead-letters replay 3

      dialog-sip dead-letters replay --all --topic users

    """
    if (number is None) is not everything:
        raise SandboxError("say which: a number of `dead-letters list`, or --all")
    if number is not None and topic:
        raise SandboxError("--topic goes with --all")

    async def work(bus: KafkaBus) -> bool:
        letters = await read(bus)
        return await put_back(bus, of_topic(letters, topic) if number is None else [numbered(letters, number)])

    sys.exit(not run(kafka_settings(conf, kafka, prefix), work))


async def read(bus: KafkaBus) -> list[DeadLetter]:
    """Read the topic to its end."""
    from collections import deque

    from dialog_schemas.topics import DEAD_LETTERS

    from dialog_console.model.dead_letter import DeadLetter

    records: deque[Record] = deque(maxlen=MOST_KEPT)
    await caught_up(bus.tail(DEAD_LETTERS, records.append, from_end=False))
    return [DeadLetter(record) for record in records]


async def put_back(bus: KafkaBus, letters: Sequence[DeadLetter]) -> bool:
    """Publish the originals in their order, a line of outcome each; false where one was not."""
    from dialog_runtime.bus.errors import BusError

    from dialog_console.cli.bus import WITHIN

    good = True
    for letter in letters:
        try:
            await bus.publisher.forward(letter.replay_to(), letter.original, within=WITHIN)
            typer.echo(f"{letter.number} replayed to {letter.topic}")
        except (ValueError, BusError) as error:
            good = False
            typer.echo(f"{letter.number} not replayed: {error}")
    return good


def of_topic(letters: Sequence[DeadLetter], topic: str) -> list[DeadLetter]:
    """Return those that came on ``topic``; all for a blank."""
    return [letter for letter in letters if topic in {"", letter.topic}]


def numbered(letters: Sequence[DeadLetter], number: int) -> DeadLetter:
    """Return the dead letter of that number. Raises :class:`SandboxError`."""
    found = next((letter for letter in letters if letter.number == number), None)
    if found is None:
        there = f"there are {letters[0].number} to {letters[-1].number}" if letters else "there is none"
        raise SandboxError(f"no dead letter {number}: {there}")
    return found


def shown(letters: Sequence[DeadLetter]) -> Table:
    """Return dead letters as a table for people."""
    table = Table(title=f"Dead letters: {len(letters)}", title_justify="left")
    for column in ("number", "time", "topic", "key", "event", "error"):
        table.add_column(column, overflow="fold")
    for letter in letters[-MOST_ROWS:]:
        when = letter.record.time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        words = (letter.topic, letter.record.key or "-", letter.event_type, letter.error)
        table.add_row(str(letter.number), when, *map(escape, words))
    if len(letters) > MOST_ROWS:
        table.caption = f"the newest {MOST_ROWS}: narrow it with --topic, or take --json"
    return table
