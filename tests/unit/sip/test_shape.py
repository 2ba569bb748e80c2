"""The shape of the library: small modules, and docstrings that say of which RFC, and which section, each part is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dialog_sip
import pytest

ROOT = Path(dialog_sip.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
MAX_LINES = 400
CITATION = re.compile(r"RFC \d{4}")
SECTION = re.compile(r"RFC \d{4}|sections? [A-Z]?\.?\d")
"""A section alone is of the RFC that the module names."""
OF_NO_RFC = {
    "aio/trace.py",
    "testing/__init__.py",
    *(f"testing/{name}.py" for name in ("agent", "call", "clock", "peer", "wire")),
}
"""What is for people and tests alone."""
OF_NO_ONE = {"A", "I", "S", "P", "T", "C", "F", "log", "__all__"}
"""Type variables, loggers and the letters of the transaction tables."""

_ids = [str(path.relative_to(ROOT)) for path in MODULES]
every_module = pytest.mark.parametrize("path", MODULES, ids=_ids)


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Give the public names of a module or a class that have no docstring; dunders and overloads have none."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    yield prefix + node.name
                yield from undocumented(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_") and not ast.get_docstring(node) and not _is_setter(node):
                yield prefix + node.name
        elif not prefix and (name := _constant(node)) and not _is_text(following):
            yield name


def _is_setter(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "setter" for one in node.decorator_list)


def _constant(node: ast.stmt) -> str | None:
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    name = target.id if isinstance(target, ast.Name) else "_"
    return None if name.startswith("_") or name in OF_NO_ONE else name


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@every_module
def test_a_module_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@every_module
def test_every_public_name_has_a_docstring(path: Path) -> None:
    assert list(undocumented(ast.parse(path.read_text(encoding="utf-8")).body)) == []


@every_module
def test_a_module_cites_its_rfc(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert bool(CITATION.search(docstring)) != (str(path.relative_to(ROOT)) in OF_NO_RFC)


@every_module
def test_every_class_and_function_cites_its_section(path: Path) -> None:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    public = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds)]
    assert [
        node.name
        for node in public
        if not node.name.startswith("_") and not SECTION.search(ast.get_docstring(node) or "")
    ] == []
