"""Ctrl-C while a command is still being loaded: nothing is there to be ended, so it ends at once and says nothing.

Without it a signal in that time shows where Python just was, or is lost where the shell that started the command in
the background has told it to ignore SIGINT.
"""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""Exit code of what was interrupted, as shells have it."""


def end_at_once() -> None:
    """End at SIGINT from now on."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))


def as_usual() -> None:
    """Have SIGINT raise :class:`KeyboardInterrupt` again, for commands that count on it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
