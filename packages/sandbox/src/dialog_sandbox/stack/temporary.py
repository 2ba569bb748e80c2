"""State folders for a demo or a test, gone when it ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialog_sandbox import postgres_files


@contextmanager
def temporary_state() -> Iterator[Path]:
    """Give an empty folder, removed at the end; ``nobody`` may pass it, as PostgreSQL needs where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="dialog-sip-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        postgres_files.remove(folder)
        shutil.rmtree(folder, ignore_errors=True)
