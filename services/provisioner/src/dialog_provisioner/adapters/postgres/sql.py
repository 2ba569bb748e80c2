"""What is created in the dialog server's database, where it is missing and may be created.

Nothing here is ever dropped. Every name but the table's own starts with ``dialog_sip_``. Statements take a
:class:`~dialog_runtime.table.names.Names`, whose parts are quoted.
"""

from __future__ import annotations

from dialog_runtime.table.names import Names, quoted

CHANNEL = "dialog_sip_mappings"
"""NOTIFY channel. Payload: ``["sip_user", "sip_host"]`` of a row that changed, or :data:`EVERYTHING`."""
EVERYTHING = "*"
"""Payload for more than is worth naming: a bulk load, TRUNCATE, an address too long for a payload."""
NAMED_AT_MOST = 200
"""Rows of one statement that are named one by one."""
PAYLOAD_MAX = 7900
"""Bytes; PostgreSQL takes less than 8,000."""

FUNCTION = "dialog_sip_mappings_changed"
LEDGER = "dialog_sip_users"
INDEX = "dialog_sip_mappings_aor"


def create_table(name: str) -> str:
    """``name`` is as the configuration has it. No key and no constraint: bad rows are reported, not refused."""
    return f"""
CREATE TABLE {name} (
    sip_user text,
    sip_password text,
    sip_host text,
    sip_port integer DEFAULT 5060,
    sip_parameters jsonb DEFAULT '{{}}',
    sip_headers jsonb DEFAULT '{{}}',
    peer_type integer DEFAULT 0,
    peer_id integer DEFAULT 0,
    peer_str_id text DEFAULT '',
    register boolean,
    can_call boolean,
    can_be_called boolean
)"""


def create_index(names: Names) -> str:
    """Not unique: a second row for an AOR is reported, not refused."""
    return f"CREATE INDEX IF NOT EXISTS {quoted(INDEX)} ON {names.qualified} (sip_user, sip_host)"


def create_ledger(names: Names) -> str:
    """Return the statement for what autocreate did for which user, and after which event."""
    return f"""
CREATE TABLE IF NOT EXISTS {names.beside(LEDGER)} (
    user_id integer PRIMARY KEY,
    standing text NOT NULL,
    sip_user text,
    sip_host text,
    event_source text NOT NULL,
    event_id text NOT NULL,
    event_time timestamptz NOT NULL
)"""


def payload(user: str, host: str) -> str:
    """Return the expression of the payload for two expressions."""
    named = f"pg_catalog.json_build_array({user}, {host})::text"
    return f"CASE WHEN pg_catalog.octet_length({named}) <= {PAYLOAD_MAX} THEN {named} ELSE '{EVERYTHING}' END"


def function_body() -> str:
    """Return the body of the trigger function.

    One run a statement, so that COPY of 10,000 rows costs one notification. PostgreSQL itself drops those that a
    transaction repeats. The statements are planned when they are first reached: each kind of trigger has only its own
    transition table.
    """
    notify = f"PERFORM pg_catalog.pg_notify('{CHANNEL}', {payload('c.sip_user', 'c.sip_host')}) FROM"
    everything = f"PERFORM pg_catalog.pg_notify('{CHANNEL}', '{EVERYTHING}')"

    def branch(source: str) -> str:
        return f"""
        IF (SELECT pg_catalog.count(*) FROM {source} AS n) > {NAMED_AT_MOST} THEN {everything};
        ELSE {notify} {source} AS c; END IF;"""  # noqa: S608  names of ours

    both = "(SELECT sip_user, sip_host FROM rows_after UNION SELECT sip_user, sip_host FROM rows_before)"
    return f"""
BEGIN
    IF TG_OP = 'INSERT' THEN {branch("rows_after")}
    ELSIF TG_OP = 'UPDATE' THEN {branch(both)}
    ELSIF TG_OP = 'DELETE' THEN {branch("rows_before")}
    ELSE {everything};
    END IF;
    RETURN NULL;
END
"""


def create_function(names: Names) -> str:
    """Return the statement; the function runs as whoever writes the table, who needs no right for it."""
    return (
        f"CREATE OR REPLACE FUNCTION {names.beside(FUNCTION)}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog AS $body${function_body()}$body$"
    )


TRIGGERS = {
    "dialog_sip_mappings_insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS rows_after",
    "dialog_sip_mappings_update": (
        "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after"
    ),
    "dialog_sip_mappings_delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS rows_before",
    "dialog_sip_mappings_truncate": "AFTER TRUNCATE ON {table}",
}
"""Trigger -> when it runs. Transition tables allow one event a trigger."""


def create_triggers(names: Names) -> list[str]:
    """Return the statements, each of which may be run again."""
    function = names.beside(FUNCTION)
    statements = []
    for name, when in TRIGGERS.items():
        event = when.format(table=names.qualified)
        statements.append(f"DROP TRIGGER IF EXISTS {quoted(name)} ON {names.qualified}")
        statements.append(f"CREATE TRIGGER {quoted(name)} {event} FOR EACH STATEMENT EXECUTE FUNCTION {function}()")
    return statements
