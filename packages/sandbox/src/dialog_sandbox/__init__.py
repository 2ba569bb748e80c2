"""Embedded Kafka and PostgreSQL, a small PBX with test phones; behind `dialog-sip up`."""
