"""``dialog-sip`` against a real PostgreSQL and a real Kafka: mappings, events, status, dead letters."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from dialog_console.cli import app
from dialog_runtime.bus.errors import PermanentError
from dialog_runtime.bus.record import Record
from dialog_sandbox.errors import SandboxError
from dialog_schemas.instances import Heartbeat, ServiceName
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.topics import INSTANCES, REGISTRATIONS, USERS
from dialog_schemas.users import UserCreated
from fixtures.bus import BusClient, bus_client
from fixtures.servers import Kafka, Postgres
from typer.testing import CliRunner

pytestmark = pytest.mark.needs("kafka", "postgres")

TABLE = """CREATE TABLE sip_user_mappings (sip_user text, sip_password text NOT NULL DEFAULT '', sip_host varchar(64),
sip_port smallint DEFAULT 5060, sip_parameters json, sip_headers jsonb DEFAULT '{}',
peer_type integer, peer_id integer CONSTRAINT lucky CHECK (peer_id <> -13),
peer_str_id text NOT NULL DEFAULT '', register boolean, can_call integer, can_be_called text, note text DEFAULT 'n')"""
HEADER = "sip_user,sip_password,sip_host,sip_port,sip_parameters,peer_id,register,can_call,can_be_called\n"
TWO = HEADER + '434,pw-434,pbx,5070,"{""transport"": ""tcp""}",434,true,yes,true\n435,,pbx,,,435,,,\n'


@dataclass
class Command:
    """The command, and the servers that its ``server.conf`` names."""

    kafka: Kafka
    postgres: Postgres
    conf: Path

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run it and return what it prints."""
        result = CliRunner().invoke(app.build(), [*arguments, "--conf", str(self.conf)], env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        async def work() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.postgres.dsn)
            try:
                return [tuple(record) for record in await connection.fetch(statement)]
            finally:
                await connection.close()

        return asyncio.run(work())

    def on_bus(self, work: Callable[[BusClient], Any]) -> Any:
        async def main() -> Any:
            from dialog_runtime.bus.topics import ensure_topics

            async with bus_client(self.kafka.bootstrap, self.kafka.prefix) as client:
                await ensure_topics(client.kafka)
                return await work(client)

        return asyncio.run(main())


@pytest.fixture
def command(kafka: Kafka, postgres: Postgres, tmp_path: Path) -> Command:
    conf = tmp_path / "server.conf"
    conf.write_text(f"""
        modules.sip.extension = "im.dlg.sip.extension.SipExtension"
        services.kafka {{ bootstrap-servers = "{kafka.bootstrap}", topic-prefix = "{kafka.prefix}" }}
        services.postgresql {{ host = "{postgres.host}", port = {postgres.port}, db = "{postgres.db}"
                               user = "{postgres.user}", password = "{postgres.password}" }}
    """)
    return Command(kafka, postgres, conf)


@pytest.fixture
def table(command: Command) -> Command:
    command.sql(TABLE)
    return command


def csv(tmp_path: Path, text: str) -> str:
    (tmp_path / "users.csv").write_text(text)
    return str(tmp_path / "users.csv")


def test_import_inserts_updates_and_leaves_alone(table: Command, tmp_path: Path) -> None:
    assert table("mappings", "import", csv(tmp_path, TWO)) == "inserted 2, updated 0, unchanged 0\n"
    rows = "SELECT sip_user, sip_password, sip_port, sip_parameters::text, can_call, can_be_called, note"
    assert table.sql(f"{rows} FROM sip_user_mappings ORDER BY sip_user") == [
        ("434", "pw-434", 5070, '{"transport": "tcp"}', 1, "true", "n"),
        ("435", "", None, None, None, "", "n"),
    ]
    before = table.sql("SELECT sip_user, xmin::text FROM sip_user_mappings ORDER BY sip_user")
    assert table("mappings", "import", csv(tmp_path, TWO)) == "inserted 0, updated 0, unchanged 2\n"
    assert table.sql("SELECT sip_user, xmin::text FROM sip_user_mappings ORDER BY sip_user") == before
    partial = "sip_user,sip_host,sip_port\n434,pbx,5070\n435,pbx,5071\n436,pbx,\n"
    assert table("mappings", "import", csv(tmp_path, partial), "--dry-run").startswith("would be inserted 1, updated 1")
    assert table.sql("SELECT count(*) FROM sip_user_mappings") == [(2,)]


def test_a_column_that_the_file_does_not_have_stays(table: Command, tmp_path: Path) -> None:
    table("mappings", "import", csv(tmp_path, TWO))
    table("mappings", "import", csv(tmp_path, "sip_user,sip_host,peer_id\n434,pbx,7\n"))
    rows = table.sql("SELECT sip_password, peer_id, sip_port FROM sip_user_mappings WHERE sip_user = '434'")
    assert rows == [("pw-434", 7, 5070)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + "434,pw,pbx,5060,{},1,t,1,t\n435,pw,pbx,99999,{},1,t,1,t\n", "line 3: 435@pbx: sip_port is 99999"),
        # A smallint holds less than a port may be: only PostgreSQL can tell.
        (HEADER + "434,pw,pbx,1,{},1,t,1,t\n435,pw,pbx,2,,1,,,\n436,canary,pbx,60000,,1,,,\n437,pw,pbx,3,,1,,,\n",
         "line 4: PostgreSQL refuses it: NumericValueOutOfRangeError"),
        ("sip_user,sip_host,peer_id\n434,pbx,1\n435,pbx,-13\n", "line 3: PostgreSQL refuses it: CheckViolationError"),
    ],
)  # fmt: skip
def test_a_file_with_one_bad_line_changes_nothing(table: Command, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SandboxError) as refused:
        table("mappings", "import", csv(tmp_path, text))
    assert words in str(refused.value)
    assert "canary" not in str(refused.value)
    assert table.sql("SELECT count(*) FROM sip_user_mappings") == [(0,)]


def test_a_row_that_stands_twice_in_the_table_is_not_guessed_at(table: Command, tmp_path: Path) -> None:
    table.sql("INSERT INTO sip_user_mappings (sip_user, sip_host, sip_password) VALUES ('435', 'pbx', ''), "
              "('435', 'pbx', '')")  # fmt: skip
    with pytest.raises(SandboxError, match=r"^line 3: the table has this sip_user and sip_host twice"):
        table("mappings", "import", csv(tmp_path, TWO))
    assert table.sql("SELECT count(*) FROM sip_user_mappings") == [(2,)]


def test_ten_thousand_rows_are_imported_and_exported(table: Command, tmp_path: Path) -> None:
    lines = [f"{number},pw,pbx,5060,{{}},{number},t,1,t\n" for number in range(10_000)]
    text = HEADER + "".join(lines)
    assert table("mappings", "import", csv(tmp_path, text)).startswith("inserted 10000,")
    assert table("mappings", "import", csv(tmp_path, text)).endswith("unchanged 10000\n")
    assert table("mappings", "export").count("\n") == 10_001


def test_passwords_are_exported_only_when_asked_for(table: Command, tmp_path: Path) -> None:
    table("mappings", "import", csv(tmp_path, TWO))
    plain = table("mappings", "export")
    assert "pw-434" not in plain
    assert plain.splitlines()[0].startswith("sip_user,sip_host,")
    backup = tmp_path / "backup.csv"
    assert table("mappings", "export", str(backup), "--with-passwords") == f"2 rows in {backup}\n"
    assert "pw-434" in backup.read_text()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    everything = table.sql("SELECT * FROM sip_user_mappings ORDER BY sip_user")
    table.sql("TRUNCATE sip_user_mappings")
    assert table("mappings", "import", str(backup)).startswith("inserted 2,")
    assert table.sql("SELECT * FROM sip_user_mappings ORDER BY sip_user") == everything
    (tmp_path / "plain.csv").write_text(plain)
    assert table("mappings", "import", str(tmp_path / "plain.csv")).endswith("unchanged 2\n")


def test_check_of_the_table_exits_by_what_it_finds(table: Command, tmp_path: Path) -> None:
    table("mappings", "import", csv(tmp_path, TWO))
    assert table("mappings", "check") == ""
    table.sql("UPDATE sip_user_mappings SET sip_port = 0, can_be_called = 'often' WHERE sip_user = '435'")
    table.sql("INSERT INTO sip_user_mappings (sip_user, sip_host, sip_password, peer_id) VALUES ('434', 'pbx', '', 9)")
    first, second = table("mappings", "check", code=1).splitlines()
    assert first.startswith("sip_user_mappings: 435@pbx: sip_port is 0")
    assert "can_be_called is 'often'" in first
    assert second.startswith("sip_user_mappings: 434@pbx: another row (the one with peer_id 434)")


def test_a_missing_table_and_a_missing_server_are_one_line(command: Command) -> None:
    with pytest.raises(SandboxError, match="there is no table sip_user_mappings"):
        command("mappings", "check")
    text = command.conf.read_text().replace(f"port = {command.postgres.port}", "port = 1")
    command.conf.write_text(text)
    with pytest.raises(SandboxError, match=r"no PostgreSQL .* at 127.0.0.1:1"):
        command("mappings", "export")


def test_the_list_has_the_registrars_word(table: Command, tmp_path: Path) -> None:
    table("mappings", "import", csv(tmp_path, TWO))
    xmin = table.sql("SELECT xmin::text FROM sip_user_mappings LIMIT 1")[0][0]
    status = RegistrationStatus(aor="434@pbx", state=RegistrationState.RETRYING, owner="registrar-1",
                                reason="the PBX does not answer", mapping_revision=f"c.{xmin}")  # fmt: skip
    table.on_bus(lambda client: client.bus.publisher.publish(REGISTRATIONS, "434@pbx", status))
    shown = table("mappings", "list")
    assert "Mappings: 1 no-status, 1 retrying" in shown
    assert "the PBX does not answer" in shown
    assert "pw-434" not in shown
    (row,) = json.loads(table("mappings", "list", "--state", "retrying", "--json"))
    assert (row["aor"], row["current"], row["row"]["sip_port"]) == ("434@pbx", True, "5070")
    assert "sip_password" not in row["row"]
    assert json.loads(table("mappings", "list", "DOES NOT ANSWER", "--json")) == [row]
    assert json.loads(table("mappings", "list", "nowhere", "--json")) == []


def test_a_dead_letter_is_listed_shown_and_replayed(command: Command) -> None:
    headers = (("ce_id", b"e-1"), ("ce_type", b"im.dlg.sip.user-created"))
    came = Record("users", 2, 17, "434", b'{"user_id": 434}', headers)

    async def bury(client: BusClient) -> None:
        await client.bus.publisher.dead_letter(came, PermanentError("no use"))

    command.on_bus(bury)
    assert "PermanentError: no use" in command("dead-letters", "list")
    (letter,) = json.loads(command("dead-letters", "list", "--topic", "users", "--json"))
    assert (letter["number"], letter["topic"], letter["key"], letter["offset"]) == (0, "users", "434", "17")
    assert json.loads(command("dead-letters", "list", "--topic", "call.commands", "--json")) == []
    assert '{"user_id": 434}' in command("dead-letters", "show", "0")
    assert json.loads(command("dead-letters", "show", "0", "--json")) == letter
    with pytest.raises(SandboxError, match="no dead letter 5: there are 0 to 0"):
        command("dead-letters", "show", "5")
    assert command("dead-letters", "replay", "0") == "0 replayed to users\n"
    assert command("dead-letters", "replay", "--all", "--topic", "users") == "0 replayed to users\n"

    async def replayed(client: BusClient) -> list[Record]:
        found: list[Record] = []
        await asyncio.wait_for(client.bus.tail(USERS, found.append, from_end=False).ready(), 20)
        return found

    assert [(it.key, it.value, it.headers) for it in command.on_bus(replayed)] == [("434", came.value, headers)] * 2


def test_a_replay_that_must_not_be_is_said_and_exits_with_1(command: Command) -> None:
    state = Record(REGISTRATIONS.name, 0, 1, "434@pbx", b"{}")
    command.on_bus(lambda client: client.bus.publisher.dead_letter(state, PermanentError("no use")))
    assert command("dead-letters", "replay", "--all", code=1).startswith("0 not replayed: sip.registrations holds")


def test_an_emitted_event_is_tailed_from_the_start(command: Command) -> None:
    said = command("events", "emit", "user-created", "--user-id", "434", "--name", "Ann")
    assert said.startswith("users 434 user-created {")
    arguments = ["events", "tail", "users", "--from-start", "--json", "--conf", str(command.conf)]
    with subprocess.Popen(
        [sys.executable, "-m", "dialog_console.cli", *arguments], stdout=subprocess.PIPE, text=True
    ) as tail:
        try:
            assert tail.stdout is not None
            told = json.loads(asyncio.run(asyncio.wait_for(asyncio.to_thread(tail.stdout.readline), 30)))
            tail.send_signal(signal.SIGINT)
            assert tail.wait(15) == 0
        finally:
            tail.kill()
    assert (told["topic"], told["key"]) == ("users", "434")
    assert UserCreated.model_validate_json(told["value"]) == UserCreated(user_id=434, name="Ann")


def test_status_says_what_the_topics_say(command: Command) -> None:
    beat = Heartbeat(instance="registrar-1", service=ServiceName.REGISTRAR, version="1", at=datetime.now(UTC), load=1)
    status = RegistrationStatus(aor="434@pbx", state=RegistrationState.REGISTERED, owner="registrar-1")

    async def say(client: BusClient) -> None:
        await client.bus.publisher.publish(INSTANCES, beat.instance, beat)
        await client.bus.publisher.publish(REGISTRATIONS, status.aor, status)

    command.on_bus(say)
    told = json.loads(command("status", "--json"))
    assert [(it["instance"], it["load"]) for it in told["instances"]] == [("registrar-1", 1.0)]
    assert [(it["aor"], it["state"]) for it in told["registrations"]] == [("434@pbx", "registered")]
    assert told["calls"] == []
    assert "Registrations: 1 registered" in command("status")
