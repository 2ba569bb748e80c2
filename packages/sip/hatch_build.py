"""Build hook: with ``DIALOG_SIP_COMPILE=1`` the wheel has its hot modules compiled too, by mypyc.

Without the variable, and in an editable install, it does nothing and the wheel is pure Python. The sources are in the
compiled wheel as well: tracebacks show them, and ``mypy`` reads them. Why, and what it gives: docs/sip.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SWITCH = "DIALOG_SIP_COMPILE"
PACKAGE = "dialog_sip"
MODULES = (
    "errors", "limits", "status", "grammar", "uri", "values", "headers", "message", "parser", "reading",
    "digest/challenge", "digest/credentials", "digest/client", "digest/info", "transactions/express",
)  # fmt: skip
"""What reads and writes messages. Not ``digest/algorithm``: mypyc does not take an enumeration with ``__init__``."""


class CompileHook(BuildHookInterface[Any]):
    """Adds the extensions to the wheel where that is asked for."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what has to be there for it."""
        return ["mypy[mypyc]>=1.18"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the wheel after the interpreter it is for. ``version`` is the kind of build."""
        if version == "editable" or not _is_wanted():
            return
        self._folder = Path(tempfile.mkdtemp(prefix="dialog-sip-"))
        extensions = _compile(Path(self.root) / "src" / PACKAGE, self._folder)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update({str(self._folder / name): name for name in extensions})

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """Leave nothing behind."""
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder)


def _is_wanted() -> bool:
    return os.environ.get(SWITCH) == "1"


def _compile(source: Path, folder: Path) -> list[str]:
    """Compile in a copy; return the names of the extensions there. Raises :class:`RuntimeError`."""
    shutil.copytree(source, folder / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    modules = [f"{PACKAGE}/{name}.py" for name in MODULES]
    command = [sys.executable, "-m", "mypyc", "--strict", *modules]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"mypyc failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    shutil.rmtree(folder / "build")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.so"))
