"""Write the contract for those who do not use this package: ``python -m dialog_schemas.export [FOLDER]``.

One JSON Schema (draft 2020-12) an event goes to ``json/``, and an AsyncAPI 3.0 document to ``asyncapi.yaml``. The
output depends on the models alone, so that a test can tell whether what is committed is up to date. ``asyncapi.yaml``
is written as JSON, which is YAML.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from dialog_schemas.asyncapi import document
from dialog_schemas.event import Event
from dialog_schemas.topics import EVENT_TYPES, TOPICS

DIALECT = GenerateJsonSchema.schema_dialect


def event_schema(event: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema of the body of ``event``, as a producer may write it."""
    schema = event.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": DIALECT, "$id": f"{event.type()}.json", **schema}


def every_event() -> list[type[Event]]:
    """Return the events of all topics, tombstones' included, in the order of their names."""
    found = {event.NAME: event for event in EVENT_TYPES.values()}
    found |= {topic.tombstone.NAME: topic.tombstone for topic in TOPICS if topic.tombstone is not None}
    return [found[name] for name in sorted(found)]


def files() -> dict[str, str]:
    """Return path (relative to the ``schemas`` folder) -> content of everything that is exported."""
    exported = {f"json/{event.NAME}.json": _text(event_schema(event)) for event in every_event()}
    return exported | {"asyncapi.yaml": _text(document(every_event()))}


def main(folder: Path) -> None:
    """Write :func:`files` below ``folder``, and remove schemas of events that are no more."""
    exported = files()
    for path in (folder / "json").glob("*.json"):
        if f"json/{path.name}" not in exported:
            path.unlink()
    for name, text in exported.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])
