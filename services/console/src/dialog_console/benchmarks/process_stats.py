"""CPU time and memory of another process, from ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21
"""Fields of ``/proc/PID/stat`` (proc(5)), counted behind the command's name, which may itself hold blanks."""


def cpu_seconds(pid: int, proc: Path = Path("/proc")) -> float:
    """Return user and system time of the process, all threads, in seconds. Raises :class:`ProcessLookupError`."""
    fields = _stat(pid, proc)
    return (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """Return the resident memory of the process. Raises :class:`ProcessLookupError`."""
    return int(_stat(pid, proc)[_RSS]) * _PAGE


def descendants(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that the process started, and those that they did."""
    try:
        children = (proc / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *descendants(child, proc))]


def _stat(pid: int, proc: Path) -> list[str]:
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        raise ProcessLookupError(f"no process {pid}") from None
    return text[text.rindex(")") + 1 :].split()
