from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from dialog_sandbox.errors import SandboxError, WrongConfigurationError
from dialog_sandbox.paths import PortBook, free_port
from dialog_sandbox.stack import Options, Ports, conf
from dialog_sandbox.stack.options import PARTS
from dialog_sandbox.stack.parts import KINDS, pbx, service
from pyhocon import ConfigFactory

ON = 'modules.sip.extension = "im.dlg.sip.extension.SipExtension"'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"without": frozenset({"pbx", "fax"})}, "no part is called fax"),
        ({"scale": {"kafka": 2}}, "kafka cannot be scaled"),
        ({"scale": {"bridge": 0}}, "bridge can be scaled to 1..16, not 0"),
        ({"conf": Path("/nowhere/server.conf")}, "/nowhere/server.conf is not a file"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        Options(state=tmp_path, **arguments)  # type: ignore[arg-type]


def test_a_configuration_of_ones_own_brings_its_pbx(tmp_path: Path) -> None:
    own = tmp_path / "server.conf"
    own.touch()
    assert Options(state=tmp_path, conf=own).parts == frozenset(PARTS) - {"pbx"}


def test_a_taken_port_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        message = f"port {port} of 127.0.0.1, for PostgreSQL, is taken: choose another with --postgres-port"
        with pytest.raises(SandboxError, match=message):
            Ports(postgres=port).check(frozenset(PARTS))
        Ports(postgres=port).check(frozenset({"kafka"}))


def test_a_udp_port_counts_for_the_pbx() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(SandboxError, match="for the PBX, is taken"):
            Ports(sip=held.getsockname()[1]).check(frozenset(PARTS))


def test_a_port_that_the_system_keeps_from_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SandboxError, match=r"port 80 of 127\.0\.0\.1, for the page, needs root"):
        Ports(http=80).check(frozenset(PARTS))


def test_one_port_for_two_parts_is_refused() -> None:
    port = free_port()
    with pytest.raises(SandboxError, match=f"port {port} is chosen for Kafka and for the page"):
        Ports(kafka=port, http=port).check(frozenset(PARTS))


def test_free_ports_fill_the_gaps() -> None:
    filled = Ports(kafka=19).filled(PortBook())
    assert filled.kafka == 19
    assert len({filled.kafka, filled.postgres, filled.sip, filled.http}) == 4
    assert filled.sip
    assert filled.http


def test_the_generated_configuration_is_hocon(tmp_path: Path) -> None:
    text = (
        conf.sandbox_section(15060, 'p"w')
        + conf.kafka_section("127.0.0.1:19092")
        + conf.postgres_section("127.0.0.1", 15432, "d", "u", 's"${x}')
    )
    tree = ConfigFactory.parse_string(text)
    assert tree["modules.sip.autocreate.port"] == 15060
    assert tree["modules.sip.autocreate.password"] == 'p"w'
    assert tree["services.kafka.bootstrap-servers"] == "127.0.0.1:19092"
    assert tree["services.postgresql.password"] == 's"${x}'


def test_ones_own_configuration_is_taken_in_and_its_servers_are_found(tmp_path: Path) -> None:
    own = tmp_path / "own server.conf"
    own.write_text(f'services.kafka.bootstrap-servers = ["a:1", "b:2"]\n{ON}\nmodules.sip.trace-level = 16\n')
    assert conf.read_given(own) == conf.Given(kafka="a:1,b:2")
    generated = tmp_path / "server.conf"
    generated.write_text(conf.include(own) + conf.postgres_section("127.0.0.1", 1, "d", "u", "p"))
    tree = ConfigFactory.parse_file(str(generated))
    assert tree["modules.sip.trace-level"] == 16
    assert tree["services.postgresql.port"] == 1


@pytest.mark.parametrize(("text", "word"), [("a { b = ", ""), ("modules.sip.trace-level = loud", "trace-level")])
def test_a_wrong_configuration_is_told_in_one_line(tmp_path: Path, text: str, word: str) -> None:
    own = tmp_path / "server.conf"
    own.write_text(f"{ON}\n{text}")
    with pytest.raises(WrongConfigurationError, match=r"server\.conf") as caught:
        conf.read_given(own)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_services_take_the_generated_configuration(tmp_path: Path) -> None:
    from dialog_runtime.config import load_settings

    own, generated = tmp_path / "own.conf", tmp_path / "server.conf"
    own.write_text(ON)
    for first in (conf.sandbox_section(15060, "p"), conf.include(own)):
        generated.write_text(
            first + conf.kafka_section("127.0.0.1:9") + conf.postgres_section("127.0.0.1", 1, "d", "u", "p")
        )
        settings = load_settings(generated)
        assert settings.kafka.bootstrap_servers == ("127.0.0.1:9",)
        assert settings.postgresql.port == 1


def test_services_are_started_by_module_with_their_name() -> None:
    part = service(KINDS[1], 2, Path("/s/server.conf"), 81, {"A": "b"})
    assert part.name == "registrar-2"
    assert part.argv[1:] == (
        "-m", "dialog_registrar", "--conf", "/s/server.conf", "--instance", "registrar-2", "--http", "127.0.0.1:81",
    )  # fmt: skip
    assert part.argv[0] == sys.executable
    assert part.ready == "http://127.0.0.1:81/readyz"


def test_no_password_stands_on_a_command_line() -> None:
    part = pbx(5060, 81, "s3cret", Path("bindings.json"))
    assert "s3cret" not in " ".join(part.argv)
    assert "s3cret" in part.env.values()
