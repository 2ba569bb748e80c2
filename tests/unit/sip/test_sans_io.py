"""The library does no I/O and knows no clock, but for dialog_sip.aio."""

import ast
from pathlib import Path

import dialog_sip
import pytest

ROOT = Path(dialog_sip.__file__).parent
FORBIDDEN = {"asyncio", "socket", "time", "datetime", "selectors", "select", "threading", "ssl", "dns", "uvloop", "os"}
MODULES = sorted(path for path in ROOT.rglob("*.py") if "aio" not in path.relative_to(ROOT).parts)


def imported(path: Path) -> set[str]:
    """Return every module that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_io_and_no_clock(path: Path) -> None:
    names = imported(path)
    assert not {name.partition(".")[0] for name in names} & FORBIDDEN
    assert not {name for name in names if name.startswith("dialog_sip.aio")}


def test_everything_public_is_there() -> None:
    for name in dialog_sip.__all__:
        assert getattr(dialog_sip, name) is not None
