"""The other libraries: each in a folder of its own under the cache, put there by pip the first time.

None is a dependency of ours. What cannot be installed, or has no use without its heavy companions, is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dialog_console.benchmarks.sip.readers import OURS, READERS

DEADLINE = 180.0
"""Seconds for one installation."""


def cache() -> Path:
    """Return the folder of all of them."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Path(base) / "dialog-sip" / "bench-peers" / version


def prepare() -> tuple[dict[str, Path], dict[str, str]]:
    """Return the folder of each library that is there, and why each other is left out."""
    found: dict[str, Path] = {}
    absent: dict[str, str] = {}
    for name in READERS:
        if name == OURS:
            continue
        folder = cache() / name.lower()
        fault = "" if any(folder.glob("*.dist-info")) else _install(name, folder)
        if fault:
            absent[name] = f"left out, {fault}"
        else:
            found[name] = folder
    return found, absent


def _install(name: str, folder: Path) -> str:
    """Install a library; return why that failed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["--quiet", "--disable-pip-version-check", "--target", str(folder), name]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *arguments],
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "its installation took too long"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]
