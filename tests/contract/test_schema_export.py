"""What is committed under schemas/ is what the models say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dialog_schemas.export import every_event, files, main
from dialog_schemas.topics import EVENT_TYPES, TOPICS

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize("name", sorted(files()))
def test_committed_file_is_up_to_date(name: str) -> None:
    assert (SCHEMAS / name).read_text(encoding="utf-8") == files()[name], "run python -m dialog_schemas.export"


def test_nothing_else_is_committed() -> None:
    assert {f"json/{path.name}" for path in (SCHEMAS / "json").iterdir()} == {
        n for n in files() if n.startswith("json/")
    }


def test_every_event_of_every_topic_is_exported() -> None:
    assert {event.type() for event in every_event()} >= set(EVENT_TYPES)


def test_every_topic_and_every_reference_is_in_the_asyncapi_document() -> None:
    text = files()["asyncapi.yaml"]
    document = json.loads(text)
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {f"dialog.{topic.name}" for topic in TOPICS} | {"dialog.inbox.{instance}"}
    for pointer in _references(document):
        node = document
        for part in pointer.removeprefix("#/").split("/"):
            node = node[part]


def test_export_removes_the_schema_of_an_event_that_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "gone.json").write_text("{}")
    main(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(files())


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()
