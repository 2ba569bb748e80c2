"""server.conf: what is read from it, and the one line where it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from dialog_runtime.config import ConfigError, Settings, load_settings, reference_text
from dialog_runtime.config.modules import EXTENSION, MediaMode
from dialog_runtime.config.services import SecurityProtocol

ON = f'modules.sip.extension = "{EXTENSION}"\n'


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "server.conf"


def load(conf: Path, text: str) -> Settings:
    conf.write_text(text, encoding="utf-8")
    return load_settings(conf)


def problem(conf: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(conf, text)
    return str(caught.value).removeprefix(f"{conf}")


def test_the_reference_says_the_same_as_the_models(conf: Path) -> None:
    assert load(conf, ON) == Settings.model_validate({"modules": {"sip": {"extension": EXTENSION}}})


def test_every_key_is_in_the_reference() -> None:
    def keys(model: type) -> set[str]:
        found = set()
        for field in model.model_fields.values():
            found |= keys(field.annotation) if hasattr(field.annotation, "model_fields") else {field.alias}
        return found

    text = reference_text()
    assert {key for key in keys(Settings) if f"{key} " not in text and f"{key}\n" not in text} == set()


def test_a_dialog_servers_own_file(conf: Path) -> None:
    settings = load(
        conf,
        """
        akka.remote.netty.tcp.port = 2552
        services { postgresql { host = db.internal, port = 5433, db = dlg, user = dlg, password = "p w" } }
        services.aws { access-key = xyz }
        modules {
          webrtc.ice-servers.1 { url = "turn:b", username = u, credential = c }
          webrtc.ice-servers.0.url = "stun:a"
          sip {
            extension = "im.dlg.sip.extension.SipExtension"
            trace-level = 16
            dialog-ignore-contact-field = true
            register { expires = 10 minutes, interval = 90s }
            autocreate {
              on = true, host = sip.example.com, port = 5061
              parameters = "{\\"transport\\": \\"tcp\\"}", headers = {}
              password = 007, user-prefix = "dialog"
            }
            media.mode = relay
          }
        }
        services.kafka.bootstrap-servers = "k1:9092, k2:9092"
        services.kafka.security { protocol = SASL_SSL, username = u, password = s3cret }
        """,
    )
    assert settings.postgresql.port == 5433
    assert settings.postgresql.password.get_secret_value() == "p w"
    assert [server.url for server in settings.ice_servers] == ["stun:a", "turn:b"]
    assert settings.sip.trace_level == 16
    assert settings.sip.register_.expires == timedelta(minutes=10)
    assert settings.sip.register_.interval == timedelta(seconds=90)
    assert settings.sip.autocreate.parameters == {"transport": "tcp"}
    assert settings.sip.autocreate.password.get_secret_value() == "007"
    assert settings.sip.media.mode is MediaMode.RELAY
    assert settings.kafka.bootstrap_servers == ("k1:9092", "k2:9092")
    assert settings.kafka.security.protocol is SecurityProtocol.SASL_SSL
    assert "s3cret" not in repr(settings)


def test_values_from_the_environment(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA", "kafka:9092")
    text = ON + "services.kafka.bootstrap-servers = ${?KAFKA}\nservices.kafka.partitions = ${?NOT_SET}\n"
    assert load(conf, text).kafka.bootstrap_servers == ("kafka:9092",)
    assert load(conf, text).kafka.partitions == 6


def test_autocreate_parameters_as_an_object(conf: Path) -> None:
    settings = load(conf, ON + "modules.sip.autocreate.parameters { transport = ws, method = GET }")
    assert settings.sip.autocreate.parameters == {"transport": "ws", "method": "GET"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: modules.sip.extension is not set: allowed is"),
        ("a = 1\nmodules.sip.extension = im.other\n", ':2: modules.sip.extension = "im.other"'),
        (
            ON + "modules.sip {\n // levels\n trace-level = 99 # too much\n}",
            ":4: modules.sip.trace-level = 99: allowed is",
        ),
        (
            ON + "services.postgresql.port = 70000",
            ":2: services.postgresql.port = 70000: allowed is a whole number from 1",
        ),
        (ON + "services.postgresql.port = true", ":2: services.postgresql.port = true: allowed is a whole number"),
        (
            ON + "modules.sip.register.expires = 5 dogs",
            ':2: modules.sip.register.expires = "5 dogs": allowed is a duration',
        ),
        (ON + "modules.sip.register.expires = 1 month", ":2: modules.sip.register.expires"),
        (
            ON + "modules.sip.register.expires = 0",
            ":2: modules.sip.register.expires = 0: allowed is a duration above zero",
        ),
        (ON + "modules.sip.media.mode = loud", "allowed is 'auto', 'direct' or 'relay'"),
        (
            ON + "modules.sip.media { port-min = 3000, port-max = 2000 }",
            "modules.sip.media.port-max = 2000: allowed is",
        ),
        (ON + "modules.sip.autocreate.can-call = maybe", 'can-call = "maybe": allowed is true or false'),
        (ON + "modules.sip.autocreate.on = true", "modules.sip.autocreate.host is not set: allowed is"),
        (ON + 'modules.sip.autocreate.host = "bad host"', 'host = "bad host": allowed is a host name or an address'),
        (
            ON + "modules.sip.autocreate { on = true, host = h, parameters = { transport = sctp } }",
            'modules.sip.autocreate.parameters = {"transport": "sctp"}: allowed is one of udp, tcp, tls, ws, wss',
        ),
        (
            ON + "modules.sip.autocreate { on = true, host = h, parameters = { transport = wss } }",
            'modules.sip.autocreate.headers = {}: allowed is {"host": "example.com:port"}',
        ),
        (ON + "modules.sip.registrar.local-host = 999.1.1.1", 'local-host = "999.1.1.1": allowed is a host name'),
        (ON + "services.kafka.bootstrap-servers = kafka", "allowed is host:port pairs such as"),
        (ON + 'services.kafka.bootstrap-servers = "a:1,b:99999"', "allowed is host:port pairs such as"),
        (ON + "services.kafka.bootstrap-servers = []", "allowed is host:port pairs such as"),
        (
            ON + "services.kafka.security { protocol = SSL, ca-file = /no/ca.pem }",
            ':2: services.kafka.security.ca-file = "/no/ca.pem": allowed is a file that is there and can be read',
        ),
        (ON + 'services.kafka.topic-prefix = "a b"', 'topic-prefix = "a b": allowed is text that matches ^['),
        (ON + 'modules.webrtc.ice-servers = [{ url = "http://x" }]', "ice-servers.0.url"),
        (ON + 'modules.webrtc.ice-servers.0.url = "turn:x:70000"', "allowed is a STUN or TURN URL such as"),
        (ON + 'modules.sip.autocreate.headers = "{"', 'modules.sip.autocreate.headers = "{": allowed is an object'),
        (ON + 'modules.sip.provisioner.table = "users; drop"', "modules.sip.provisioner.table"),
        (ON + "services.kafka.security.protocol = SASL_SSL", "services.kafka.security.username is not set"),
        (ON + "services.kafka = 5", ":2: services.kafka = 5: allowed is a block { ... }"),
        (ON + "a {\n b = 1\n", ":4: not HOCON"),
        (ON + "a = ${NOT_SET_ANYWHERE}\n", ":2: Cannot resolve variable ${NOT_SET_ANYWHERE}"),
        ("[1, 2]", ":1: not a configuration"),
        (ON + "services.postgresql { port = 0, db = [] }", "(and 1 more)"),
    ],
)
def test_the_line_for_what_is_wrong(conf: Path, text: str, words: str) -> None:
    said = problem(conf, text)
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize("key", ["services.postgresql.password", "services.kafka.security.key-password"])
def test_a_wrong_secret_is_not_shown(conf: Path, key: str) -> None:
    said = problem(conf, ON + f"{key} = [canary]")
    assert f"{key} = ***: allowed is text" in said
    assert "canary" not in said


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.conf")
    (tmp_path / "latin").write_bytes(b"a = \xe4")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_settings(tmp_path / "latin")


@pytest.mark.parametrize(
    "line",
    [
        'services.kafka.bootstrap-servers = "[::1]:9092, kafka-1.example.com:9092"',
        "services.postgresql.host = 10.0.0.1",
        'services.postgresql.host = "::1"',
        'modules.sip.registrar.local-host = "::"',
        "modules.sip.autocreate.parameters = { transport = sctp }",
        'modules.webrtc.ice-servers = [{ url = "stun:stun.example.com" }, { url = "turns:[::1]:5349?transport=tcp" }]',
    ],
)
def test_what_is_allowed_is_taken(conf: Path, line: str) -> None:
    conf.write_text(ON + line)
    load_settings(conf)
