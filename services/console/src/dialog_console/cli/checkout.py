"""Where the checkout is that this command runs from."""

from __future__ import annotations

from pathlib import Path

from dialog_sandbox.errors import SandboxError

import dialog_console


def checkout() -> Path:
    """Return the root of the workspace. Raises :class:`SandboxError` where the package is installed without it."""
    for folder in Path(dialog_console.__file__).resolve().parents:
        if (folder / "requirements.lock").is_file() and (folder / "tests").is_dir():
            return folder
    raise SandboxError("this needs a checkout of dialog-sip; here only the package is installed")
