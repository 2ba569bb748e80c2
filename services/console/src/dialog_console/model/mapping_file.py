"""Rows of ``sip_user_mappings`` as CSV (RFC 4180): a header with the columns' names, then a row a line.

``sip_user`` and ``sip_host`` have to be there, any other column may be left out and is then left as it is. An empty
field is NULL.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dialog_runtime.table.check import Checked, check
from dialog_runtime.table.duplicates import settle
from dialog_runtime.table.names import COLUMNS
from dialog_runtime.table.rows import Row
from dialog_schemas.mappings import MappingRejected

PASSWORD = "sip_password"  # noqa: S105  a column's name
NEEDED = ("sip_user", "sip_host")
CHECKED = tuple(column for column in COLUMNS if column not in {PASSWORD, "peer_str_id"})
"""Columns that a check looks at."""
LONGEST_FIELD = 1 << 20
"""Characters."""


class MappingFileError(ValueError):
    """A file that cannot be read as rows, in words that name the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file; ``number`` is the line that it starts on, the header being 1."""

    number: int
    values: Mapping[str, str | None]

    @property
    def row(self) -> Row:
        """The row as the check takes it. Its revision is the line's number, so that the first of two is the elder."""
        return row_of(self.values, str(self.number))


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be used: ``where`` names it to a person."""

    where: str
    aor: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.aor}: {self.reason}"


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A file that was read."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def problems(self) -> list[Problem]:
        """Return what the provisioner would say of these rows, in the order of the lines."""
        by_revision = {str(line.number): f"line {line.number}" for line in self.lines}
        return problems((line.row for line in self.lines), by_revision)


def read(text: str) -> MappingFile:
    """Read a file. Raises :class:`MappingFileError`."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    columns: tuple[str, ...] | None = None
    lines = []
    for number, fields in _numbered(reader):
        if columns is None:
            columns = _header(fields)
        elif len(fields) != len(columns):
            raise MappingFileError(f"line {number}: {len(fields)} fields where the header has {len(columns)}")
        else:
            values = {name: value or None for name, value in zip(columns, fields, strict=True)}
            lines.append(Line(number, values))
    if columns is None:
        raise MappingFileError(f"the file is empty: its first line names columns, such as {','.join(COLUMNS)}")
    return MappingFile(columns, tuple(lines))


def write(columns: Sequence[str], rows: Iterable[Mapping[str, str | None]]) -> str:
    """Return rows as CSV."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return out.getvalue()


def row_of(values: Mapping[str, str | None], revision: str) -> Row:
    """Return a row without its password."""
    return Row(revision=revision, **{column: values.get(column) for column in CHECKED})


def problems(rows: Iterable[Row], where: Mapping[str, str]) -> list[Problem]:
    """Return the rows that cannot be used; ``where`` names each by its revision, and gives their order."""
    by_aor: dict[str, list[Row]] = {}
    for row in rows:
        by_aor.setdefault(row.address.aor, []).append(row)
    reasons: dict[str, Problem] = {}
    for aor, alike in by_aor.items():
        for event in _settled(alike):
            if isinstance(event, MappingRejected):
                reasons[event.revision] = Problem(where[event.revision], aor, event.reason)
    return [reasons[revision] for revision in where if revision in reasons]


def _settled(alike: Sequence[Row]) -> Iterable[Checked]:
    # Rows without an address share the key "@" and are no second ones of each other.
    if not alike[0].sip_user or not alike[0].sip_host:
        return map(check, alike)
    return settle(alike, None).values()


def _numbered(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not blank, with the line that it starts on."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        start = 1
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1  # type: ignore[attr-defined]  # csv.reader has it
    except csv.Error as error:
        raise MappingFileError(f"line {reader.line_num}: no CSV: {error}") from None  # type: ignore[attr-defined]
    finally:
        csv.field_size_limit(before)


def _header(fields: Sequence[str]) -> tuple[str, ...]:
    columns = tuple(field.strip().lower() for field in fields)
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise MappingFileError(f"line 1: no column is called {', '.join(map(repr, unknown))}: {', '.join(COLUMNS)}")
    if missing := [name for name in NEEDED if name not in columns]:
        raise MappingFileError(f"line 1: column {' and '.join(missing)} is missing")
    if len(set(columns)) != len(columns):
        raise MappingFileError("line 1: a column is named twice")
    return columns
