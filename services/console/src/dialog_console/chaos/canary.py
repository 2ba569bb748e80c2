"""Looks for secrets where none may be: topics, logs, pages, the process list."""

from __future__ import annotations

import base64
import urllib.parse
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dialog_console.chaos.model.evidence import Leak

_OVERLAP = 256
_CHUNK = 1 << 20
_PROC = Path("/proc")


@dataclass(slots=True)
class Canary:
    """Finds secrets, plain and as they may be dressed up. ``secrets``: what it is -> the secret."""

    secrets: Mapping[str, str]
    searched: Counter[str] = field(default_factory=Counter)
    """Where was looked -> bytes."""
    leaks: dict[tuple[str, str], Leak] = field(default_factory=dict)
    _needles: list[tuple[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._needles = [(what, needle) for what, secret in self.secrets.items() for needle in dresses(secret)]

    def look(self, kind: str, where: str, data: bytes) -> None:
        """Search ``data``, which is of some kind (``logs``, ``topics``...) and from some place."""
        self.searched[kind] += len(data)
        for what, needle in self._needles:
            if needle in data:
                self.leaks[where, what] = Leak(where, what)

    def look_in_file(self, kind: str, path: Path) -> None:
        """Search a file, piece by piece."""
        with path.open("rb") as file:
            tail = b""
            while chunk := file.read(_CHUNK):
                self.look(kind, path.name, tail + chunk)
                tail = chunk[-_OVERLAP:]

    def look_at_processes(self, proc: Path = _PROC) -> None:
        """Search the command line of every process of this machine."""
        for folder in proc.iterdir():
            if folder.name.isdecimal():
                self.look("process list", f"command line of {folder.name}", _command_line(folder))


def dresses(secret: str) -> set[bytes]:
    """Return a secret as it may stand in a text: plain, quoted for a URL, in base64."""
    return {secret.encode(), urllib.parse.quote(secret, safe="").encode(), base64.b64encode(secret.encode())}


def _command_line(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""
