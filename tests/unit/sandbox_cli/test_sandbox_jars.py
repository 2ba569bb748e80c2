from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dialog_sandbox import jars
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.jars import Jar

GOOD = b"the jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(GOOD).hexdigest())


class Source:
    """A repository that gives these contents one after another; an exception is raised."""

    def __init__(self, *contents: bytes | Exception) -> None:
        self.contents = list(contents)
        self.asked = 0

    def __call__(self, jar: Jar, scratch: Path) -> Path:
        self.asked += 1
        content = self.contents.pop(0)
        if isinstance(content, Exception):
            raise content
        scratch.mkdir()
        path = scratch / "download"
        path.write_bytes(content)
        return path


def test_the_lock_file_pins_every_jar_once() -> None:
    pinned = jars.pinned()
    assert len(pinned) > 40
    assert len({jar.filename for jar in pinned}) == len(pinned)
    assert all(len(jar.sha256) == 64 for jar in pinned)
    assert any(jar.artifact == "kafka_2.13" and jar.version == jars.VERSION for jar in pinned)


def test_a_jar_is_fetched_once(tmp_path: Path) -> None:
    source = Source(GOOD)
    progress: list[tuple[int, int]] = []
    for _ in range(2):
        assert jars.ensure([JAR], tmp_path, fetch=source, progress=lambda *p: progress.append(p)) == [
            tmp_path / "thing-1.0.jar"
        ]
    assert (tmp_path / JAR.filename).read_bytes() == GOOD
    assert source.asked == 1
    assert progress == [(1, 1)]


def test_attempts_go_on_through_errors_and_wrong_content(tmp_path: Path) -> None:
    pauses: list[float] = []
    source = Source(OSError("no route"), b"something else", GOOD)
    jars.ensure([JAR], tmp_path, fetch=source, sleep=pauses.append)
    assert pauses == [0.5, 1.0]
    assert (tmp_path / JAR.filename).read_bytes() == GOOD


def test_what_cannot_be_had_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"org\.example:thing:1\.0: its SHA-256"):
        jars.ensure([JAR], tmp_path, fetch=Source(*[b"wrong"] * jars.ATTEMPTS), sleep=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_runs_at_the_same_time_fetch_once(tmp_path: Path) -> None:
    source = Source(GOOD)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: jars.ensure([JAR], tmp_path, fetch=source), range(4)))
    assert source.asked == 1
    assert found == [[tmp_path / JAR.filename]] * 4
