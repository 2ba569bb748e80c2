"""What the PBX remembers when it is started again: the bindings of UDP peers, in a file.

A client that was granted half an hour does not register again before that: a PBX that forgets it cannot be called from.
Bindings on connections are left out, since they end with the connection and their owner notices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from dialog_sandbox.private import write_private


@dataclass(frozen=True, slots=True)
class Remembered:
    """One binding; ``expires_at`` in seconds since 1970."""

    user: str
    uri: str
    host: str
    port: int
    expires_at: float
    call_id: str
    cseq: int


def read(file: Path) -> list[Remembered]:
    """Return the bindings of a file; none where it is not there, or is not whole."""
    try:
        return [Remembered(**row) for row in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def write(file: Path, bindings: Iterable[Remembered]) -> None:
    """Replace the file at once, so that a kill at any time leaves a whole one. Raises :class:`OSError`."""
    partial = file.with_name(file.name + ".new")
    write_private(partial, json.dumps([asdict(bound) for bound in bindings]))
    partial.replace(file)
