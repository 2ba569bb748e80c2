"""The jars of Apache Kafka: pinned by SHA-256, fetched by coordinate, kept in the cache folder.

jgo fetches single artifacts here. Its resolver is not used: it can pick other versions than those that were pinned. A
jar of the local Maven repository is taken if its hash is right. Files appear under their name only when whole and
verified, and one process at a time fetches.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.locks import file_lock
from dialog_sandbox.paths import cache_dir

VERSION = "4.4.0"

ATTEMPTS = 4
_BACKOFF = 0.5
"""Seconds before the second attempt; doubled for each further one."""
_TIMEOUT = 60
"""Seconds that one answer may take."""
_PARALLEL = 4

Progress = Callable[[int, int], None]
"""Called with how many jars are there, and of how many."""

Fetch = Callable[["Jar", Path], Path]
"""Brings one jar into a scratch folder and returns its path; raises what it likes."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> Jar:
        """Read ``group:artifact:version sha256``."""
        coordinate, sha256 = line.split()
        group, artifact, version = coordinate.split(":")
        return cls(group, artifact, version, sha256)

    @property
    def filename(self) -> str:
        """Name in the cache; unique, because no two groups here share an artifact."""
        return f"{self.artifact}-{self.version}.jar"

    def matches(self, path: Path) -> bool:
        """Tell whether the file at ``path`` is there and is this jar."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def pinned() -> tuple[Jar, ...]:
    """Return the jars of the lock file, in its order."""
    text = files("dialog_sandbox").joinpath(f"kafka-{VERSION}.lock").read_text()
    return tuple(Jar.parse(line) for line in text.splitlines())


def fetch_from_maven(jar: Jar, scratch: Path) -> Path:
    """Take the jar from the local Maven repository, else download it into ``scratch``."""
    # Late: it costs 0.15 s, and mostly there is nothing to fetch.
    from jgo.constants import default_maven_repo
    from jgo.maven import MavenContext

    local = default_maven_repo()
    context = MavenContext(repo_cache=scratch, local_repos=[local] if local.is_dir() else [], timeout=_TIMEOUT)
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    path = Path(artifact.resolve())
    if not jar.matches(path) and local in path.parents:
        path = context.resolver.download(artifact) or path
    return path


def ensure(
    jars: Sequence[Jar] | None = None,
    folder: Path | None = None,
    *,
    fetch: Fetch = fetch_from_maven,
    progress: Progress = lambda _have, _all: None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Return the paths of all jars in the order of the lock file, fetching those that lack.

    Raises :class:`SandboxError` if one cannot be had with the right hash.
    """
    jars = pinned() if jars is None else jars
    folder = cache_dir() / f"kafka-{VERSION}" if folder is None else folder
    paths = [folder / jar.filename for jar in jars]
    with file_lock(folder / ".lock"):
        missing = [jar for jar in jars if not (folder / jar.filename).is_file()]
        if missing:
            _fetch_all(missing, folder, fetch, sleep, lambda n: progress(len(jars) - len(missing) + n, len(jars)))
    return paths


def _fetch_all(
    jars: Sequence[Jar], folder: Path, fetch: Fetch, sleep: Callable[[float], None], done: Callable[[int], None]
) -> None:
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch,
        ThreadPoolExecutor(_PARALLEL, thread_name_prefix="jars") as pool,
    ):
        arrivals = pool.map(lambda jar: _fetch_one(jar, folder, Path(scratch), fetch, sleep), jars)
        for count, _ in enumerate(arrivals, start=1):
            done(count)


def _fetch_one(jar: Jar, folder: Path, scratch: Path, fetch: Fetch, sleep: Callable[[float], None]) -> None:
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(_BACKOFF * 2 ** (attempt - 1))
        private = scratch / f"{jar.filename}.{attempt}"
        try:
            path = fetch(jar, private)
        except Exception as error:  # noqa: BLE001 - jgo and requests raise many kinds; each is a failed attempt
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        if jar.matches(path):
            _install(path, folder / jar.filename)
            return
        reason = "its SHA-256 is not the pinned one"
    raise SandboxError(f"cannot fetch {jar.group}:{jar.artifact}:{jar.version}: {reason}")


def _install(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(source.read_bytes())
    partial.replace(target)
