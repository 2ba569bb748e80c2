"""What every Kafka client of ours is given: addresses, security, time limits."""

from __future__ import annotations

import ssl
from typing import Any

from dialog_runtime.config.services import Kafka, KafkaSecurity

REQUEST_TIMEOUT_MS = 10_000
"""How long one request to a broker may take."""


def client_options(kafka: Kafka, client_id: str) -> dict[str, Any]:
    """Return the keyword arguments that aiokafka's producer, consumer and admin client share."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "client_id": client_id,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "metadata_max_age_ms": 60_000,
        # The default of 100 ms is felt at every rebalance and transaction.
        "retry_backoff_ms": 20,
        "security_protocol": kafka.security.protocol.value,
    }
    if kafka.security.protocol.encrypted:
        options["ssl_context"] = _ssl_context(kafka.security)
    if kafka.security.protocol.authenticated:
        options["sasl_mechanism"] = kafka.security.mechanism.value
        options["sasl_plain_username"] = kafka.security.username
        options["sasl_plain_password"] = kafka.security.password.get_secret_value()
    return options


def _ssl_context(security: KafkaSecurity) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=security.ca_file)
    if security.cert_file is not None:
        password = security.key_password.get_secret_value() or None
        context.load_cert_chain(security.cert_file, security.key_file, password)
    return context
