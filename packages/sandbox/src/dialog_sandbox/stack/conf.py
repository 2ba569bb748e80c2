"""The ``server.conf`` that the services of a stack get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dialog_sandbox.errors import WrongConfigurationError

_KAFKA = "services.kafka.bootstrap-servers"
_POSTGRES = "services.postgresql.host"


@dataclass(frozen=True, slots=True)
class Given:
    """What a configuration of one's own already says; such a server is then used, not embedded."""

    kafka: str | None = None
    postgres: str | None = None


def read_given(conf: Path) -> Given:
    """Check ``conf`` as the services will, and read which servers it names. Raises :class:`WrongConfigurationError`."""
    from dialog_runtime.config import ConfigError, load_settings
    from pyhocon import ConfigFactory

    try:
        load_settings(conf)
    except ConfigError as error:
        raise WrongConfigurationError(str(error)) from None
    tree = ConfigFactory.parse_file(str(conf))
    kafka, postgres = tree.get(_KAFKA, None), tree.get(_POSTGRES, None)
    if isinstance(kafka, list):
        kafka = ",".join(map(str, kafka))
    return Given(kafka and str(kafka), postgres and str(postgres))


def sandbox_section(sip_port: int, sip_password: str) -> str:
    """Return the HOCON of a stack without a configuration of one's own: everything on the loopback, autocreate on."""
    return f"""\
modules.sip {{
  extension = "im.dlg.sip.extension.SipExtension"
  autocreate {{
    on = true
    host = "127.0.0.1"
    port = {sip_port}
    parameters = {{ transport = udp }}
    headers = {{}}
    register = true
    can-call = true
    can-be-called = true
    password = {json.dumps(sip_password)}
  }}
  registrar.local-host = "127.0.0.1"
  media {{ address = "127.0.0.1", ice-loopback = true }}
}}
"""


def kafka_section(bootstrap: str) -> str:
    """Return the HOCON that names the embedded Kafka."""
    return f"services.kafka.bootstrap-servers = {json.dumps(bootstrap)}\n"


def postgres_section(host: str, port: int, db: str, user: str, password: str) -> str:
    """Return the HOCON that names the embedded PostgreSQL."""
    values = {"host": host, "port": port, "db": db, "user": user, "password": password}
    lines = "".join(f"  {key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"services.postgresql {{\n{lines}}}\n"


def include(conf: Path) -> str:
    """Return the HOCON that takes all of ``conf`` in."""
    return f"include file({json.dumps(str(conf.absolute()))})\n"
