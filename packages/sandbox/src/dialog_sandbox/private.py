"""Files that only their owner may read: passwords, and configuration with passwords in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by a file with mode 0600 from its first moment."""
    path.unlink(missing_ok=True)
    with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the text of ``path``; where it is not there it is made, with its folder."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, make())
    return path.read_text().strip()
