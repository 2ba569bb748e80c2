"""Child processes that never outlive their parent.

Theory of operation: the kernel is asked (``PR_SET_PDEATHSIG``) to signal a child when its parent dies, even by ``kill
-9``. Two traps come with that. The signal is tied to the *thread* that forked: a child that was spawned from a worker
thread dies with that thread, so :meth:`Child.spawn` must be called from a thread that lives as long as the child (the
event loop's), while waiting may happen anywhere. And a change of user clears the wish, so it is made after it. Each
child has a session of its own: Ctrl-C in a terminal reaches the parent alone, which then ends its children in order.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_POLL = 0.02
"""Seconds between two looks at a child that is awaited."""

_REAP = 5.0
"""Seconds that the kernel gets to end a process after SIGKILL."""

MAX_LOG = 8 * 1024 * 1024
"""Bytes of a log above which the next start moves it to ``NAME.1``."""


@dataclass(frozen=True, slots=True)
class User:
    """Who a child runs as."""

    uid: int
    gid: int


class Child:
    """One running child process, with its output appended to a log."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: User | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> Child:
        """Start ``argv``; ``death_signal`` reaches it when the calling thread's process dies.

        Call it from a thread that outlives the child. Raises :class:`OSError` if it cannot be started.
        """
        _rotate(log)
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
                preexec_fn=_die_with_parent(death_signal),  # noqa: PLW1509 - two system calls, no lock
            )
        return cls(popen, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def returncode(self) -> int | None:
        """Return the exit code (negative: the signal), or None while it runs."""
        return self._popen.poll()

    def send(self, signum: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        self._popen.send_signal(signum)

    def wait(self, timeout: float) -> int | None:
        """Wait up to ``timeout`` seconds for the end; return the exit code, or None if it still runs."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    async def wait_async(self, within: float) -> int | None:
        """Do the same as :meth:`wait` without blocking the event loop."""
        deadline = time.monotonic() + within
        while (code := self.returncode()) is None and time.monotonic() < deadline:  # noqa: ASYNC110 - the kernel sets no Event
            await asyncio.sleep(_POLL)
        return code

    def kill(self) -> int | None:
        """End it at once with SIGKILL and reap it."""
        self._popen.kill()
        return self.wait(_REAP)

    def stop(self, timeout: float, signum: signal.Signals = signal.SIGTERM) -> int | None:
        """Ask it to end, wait up to ``timeout`` seconds, then kill it; return the exit code."""
        self.send(signum)
        code = self.wait(timeout)
        return self.kill() if code is None else code

    async def stop_async(self, within: float, signum: signal.Signals = signal.SIGTERM) -> int | None:
        """Do the same as :meth:`stop` without blocking the event loop."""
        self.send(signum)
        code = await self.wait_async(within)
        return self.kill() if code is None else code

    def last_line(self) -> str:
        """Return the last line of the log that says something, for an error message."""
        return last_line(self.log)


def last_line(log: Path, tail: int = 8192) -> str:
    """Return the last non-blank line within the last ``tail`` bytes of ``log``, or an empty string."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - tail))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > MAX_LOG:
        log.replace(log.with_name(log.name + ".1"))


def _die_with_parent(signum: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    prctl, parent = _LIBC.prctl, os.getpid()

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != parent:  # it died before the wish was made
            os._exit(1)

    return before_exec
