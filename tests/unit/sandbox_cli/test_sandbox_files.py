from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from dialog_sandbox import paths, postgres_files
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.kafka_config import KafkaConfig
from dialog_sandbox.locks import file_lock
from dialog_sandbox.private import read_or_create, write_private


@pytest.mark.parametrize(
    ("given", "expected"),
    [("/x/cache", "/x/cache/dialog-sip"), ("relative", "HOME/.cache/dialog-sip"), ("", "HOME/.cache/dialog-sip")],
)
def test_the_cache_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert str(paths.cache_dir()) == expected.replace("HOME", "/home/someone")


def test_a_free_port_can_be_bound_and_a_taken_one_is_told() -> None:
    port = paths.free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not paths.port_is_free(port)
        with pytest.raises(SandboxError, match=f"port {port} of 127.0.0.1, for Kafka, is taken"):
            paths.claim_port(port, "Kafka")


def test_a_lock_that_is_held_says_so(tmp_path: Path) -> None:
    with (
        file_lock(tmp_path / "lock"),
        pytest.raises(SandboxError, match="busy here"),
        file_lock(tmp_path / "lock", busy="busy here"),
    ):
        pytest.fail("two hold it")
    with file_lock(tmp_path / "lock", busy="busy here"):
        pass


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "secret"
    assert read_or_create(file, lambda: "first") == "first"
    assert read_or_create(file, lambda: "second") == "first"
    file.chmod(0o644)
    write_private(file, "third")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_closed_folder_above_is_not_reachable(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    assert not postgres_files.reachable(inner)
    assert postgres_files.reachable(Path("/usr"))


def test_data_elsewhere_are_removed_through_the_link(tmp_path: Path) -> None:
    data, state = tmp_path / "data", tmp_path / "state"
    data.mkdir()
    state.mkdir()
    (state / "postgres").symlink_to(data)
    postgres_files.remove(state)
    assert not data.exists()
    assert not list(state.iterdir())


def test_kafka_listens_on_the_loopback_alone() -> None:
    config = KafkaConfig(9, 10, Path("/data"), {"num.partitions": "9"})
    lines = dict(line.split("=", 1) for line in config.properties().splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:9,CONTROLLER://127.0.0.1:10"
    assert lines["log.dirs"] == "/data"
    assert lines["num.partitions"] == "9"
    assert int(lines["broker.session.timeout.ms"]) < 9000
