"""The compiled wheel reads what the pure one reads: built in a folder of its own, met with the torture messages."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 600.0
"""Seconds for the build, and for the tests; it takes 20 seconds of a core, and 30."""
READ_BY = (
    "tests/torture/test_torture.py",
    "tests/unit/sip/test_parser.py",
    "tests/unit/sip/test_headers.py",
    "tests/unit/sip/test_message.py",
    "tests/unit/sip/test_reading.py",
    "tests/unit/sip/test_uri.py",
    "tests/unit/sip/test_digest_complete.py",
    "tests/unit/sip/test_sip_express.py",
)


def _run(*argv: str, **settings: str) -> str:
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.needs("compiler")
def test_compiled_it_reads_what_it_reads_as_python(tmp_path: Path) -> None:
    _run("tools/compile-sip", str(tmp_path), PYTHON=sys.executable)
    (wheel,) = tmp_path.glob("dialog_sip_core-*.whl")
    assert "-none-any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    compiled = {"PYTHONPATH": str(tmp_path / "site")}
    for module in ("parser", "values", "digest.credentials"):
        place = _run(sys.executable, "-c", f"import dialog_sip.{module} as it; print(it.__file__)", **compiled)
        assert place.startswith(str(tmp_path))
        assert place.strip().endswith(".so")
    _run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *READ_BY, **compiled)
