"""``services.*`` of ``server.conf``: what the parts connect to."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import SecretStr, StringConstraints, model_validator

from dialog_runtime.config.durations import Duration
from dialog_runtime.config.errors import WrongKeyError
from dialog_runtime.config.values import Above0, Between, Host, Port, ReadableFile, Secret, Section, Servers, Text


class SecurityProtocol(StrEnum):
    """``security.protocol`` of Kafka's clients."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def encrypted(self) -> bool:
        """True where the connection is TLS."""
        return self in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def authenticated(self) -> bool:
        """True where the client says who it is by SASL."""
        return self in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}


class SaslMechanism(StrEnum):
    """``sasl.mechanism`` of Kafka's clients."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class KafkaSecurity(Section):
    """``services.kafka.security``."""

    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    mechanism: SaslMechanism = SaslMechanism.SCRAM_SHA_512
    username: Text = ""
    password: Secret = SecretStr("")
    ca_file: ReadableFile | None = None
    """PEM with the authorities to trust; the system's where it is not given."""
    cert_file: ReadableFile | None = None
    key_file: ReadableFile | None = None
    key_password: Secret = SecretStr("")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.protocol.authenticated and not self.username:
            raise WrongKeyError("username", "a user name, because protocol is a SASL one")
        return self


class Kafka(Section):
    """``services.kafka``."""

    bootstrap_servers: Servers = ("localhost:9092",)
    topic_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = "dialog."
    partitions: Annotated[int, Between(1, 1000)] = 6
    replication_factor: Annotated[int, Between(-1, 32)] = -1
    """-1 is the broker's own default."""
    session_timeout: Annotated[Duration, Above0] = timedelta(seconds=2)
    """After this long without a heartbeat another instance takes the partitions over."""
    security: KafkaSecurity = KafkaSecurity()


class Postgresql(Section):
    """``services.postgresql``: the dialog server's own database."""

    host: Host = "localhost"
    port: Port = 5432
    db: Text = "dialog"
    user: Text = "dialog"
    password: Secret = SecretStr("")


class Services(Section):
    """``services``."""

    kafka: Kafka = Kafka()
    postgresql: Postgresql = Postgresql()
