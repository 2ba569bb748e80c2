"""The launcher ``dialog-sip``, with pip and venv replaced."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("launcher", str(ROOT / "dialog-sip"))
    spec = importlib.util.spec_from_loader("launcher", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def installs(launcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was installed; installing makes an environment that counts as working."""
    done: list[Path] = []

    def install(env: Path) -> None:
        (env / "bin").mkdir(exist_ok=True)
        (env / "bin/python").symlink_to(sys.executable)
        (env / "pyvenv.cfg").touch()
        done.append(env)

    monkeypatch.setattr(launcher, "install", install)
    return done


def test_a_second_run_installs_nothing(launcher: ModuleType, installs: list[Path], tmp_path: Path) -> None:
    env = tmp_path / "env"
    launcher.set_up(env, "one")
    assert launcher.complete(env, "one")
    launcher.set_up(env, "one")
    assert len(installs) == 1
    assert not launcher.complete(env, "two"), "a changed lock counts"


def test_an_interrupted_run_is_repaired(
    launcher: ModuleType, installs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / "env"
    whole = launcher.install

    def half(env: Path) -> None:
        whole(env)
        (env / "half-installed").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher, "install", half)
    with pytest.raises(KeyboardInterrupt):
        launcher.set_up(env, "one")
    assert not launcher.complete(env, "one")
    monkeypatch.setattr(launcher, "install", whole)
    launcher.set_up(env, "one")
    assert launcher.complete(env, "one")
    assert not (env / "half-installed").exists()


def test_a_folder_with_other_things_is_left_alone(launcher: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    with pytest.raises(launcher.SetupError, match="not empty"):
        launcher.set_up(tmp_path, "one")
    assert (tmp_path / "letters").is_dir()


def test_a_step_that_fails_is_one_line_with_the_log(launcher: ModuleType, tmp_path: Path) -> None:
    code = "print('ERROR: no matching distribution'); print('a notice'); raise SystemExit(1)"
    with pytest.raises(launcher.SetupError) as caught:
        launcher.run(tmp_path, "packages", [sys.executable, "-c", code], 3)
    assert str(caught.value) == f"packages: ERROR: no matching distribution (log: {tmp_path / 'setup.log'})"
    assert "a notice" in (tmp_path / "setup.log").read_text()


def test_where_the_environment_is(launcher: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIALOG_SIP_ENV", raising=False)
    assert launcher.environment() == ROOT / ".venv"
    monkeypatch.setenv("DIALOG_SIP_ENV", str(tmp_path))
    assert launcher.environment() == tmp_path
    monkeypatch.delenv("DIALOG_SIP_ENV")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(launcher.os, "access", lambda _path, _mode: False)
    assert launcher.environment().parent == tmp_path / "dialog-sip"


def test_the_locks_name_no_host() -> None:
    for lock in (ROOT / "requirements.lock", *ROOT.glob("*/*/requirements.lock")):
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text


def test_every_requirement_is_locked() -> None:
    import re
    import tomllib

    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    def needed(project: dict[str, Any]) -> list[str]:
        extras = project.get("optional-dependencies", {}).values()
        return [*project.get("dependencies", ()), *(requirement for extra in extras for requirement in extra)]

    files = [
        file for pattern in ("schemas", "packages/*", "services/*") for file in ROOT.glob(f"{pattern}/pyproject.toml")
    ]
    for file in files:
        for requirement in needed(tomllib.loads(file.read_text())["project"]):
            name = re.split(r"[ <>=!~;\[]", requirement)[0].lower()
            assert name.startswith("dialog-") or name in locked, f"{file}: {name} is not locked, run tools/lock"
