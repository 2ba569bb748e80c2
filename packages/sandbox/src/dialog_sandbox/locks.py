"""A lock between processes on a file, released by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialog_sandbox.errors import SandboxError


@contextmanager
def file_lock(path: Path, *, busy: str | None = None) -> Iterator[None]:
    """Hold an exclusive lock on ``path``, which is created.

    With ``busy`` a lock that another process holds raises :class:`SandboxError` with that text; without, it is waited
    for: its holders do bounded work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            raise SandboxError(busy or "") from None
        yield
