"""What is created in the dialog server's database, where it is missing and may be created.

Nothing here is ever dropped. Every name but the table's own starts with ``dialog_sip_``. Statements take a
:class:`~dialog_runtime.table.names.Names`, whose parts are quoted.
"""

from __future__ import annotations

from dialog_runtime.table.names import REMOVED, REMOVED_COLUMNS, Names, quoted

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
REMOVED_INDEX = "dialog_sip_removed_aor"
KEPT_FOR = "1 day"
"""How long a removed row is kept where no registrar asks for it: no PBX is asked for a longer binding."""


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


def create_removed(names: Names) -> str:
    """Return the statement for removed rows, which nobody but their owner may read.

    What default privileges give to others is taken back when the table is made. What an administrator grants later
    stays.
    """
    columns = ", ".join(f"{column} text" for column in REMOVED_COLUMNS)
    table = names.beside(REMOVED)
    return f"""
DO $body$
DECLARE statement text;
BEGIN
    CREATE TABLE {table} ({columns}, removed_at timestamptz DEFAULT now());
    FOR statement IN
        SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s FROM %s', c.oid::pg_catalog.regclass,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END)
        FROM pg_catalog.pg_class AS c, pg_catalog.aclexplode(c.relacl) AS a
        WHERE c.oid = $name${table}$name$::pg_catalog.regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE statement;
    END LOOP;
EXCEPTION WHEN duplicate_table THEN NULL;
END
$body$"""  # noqa: S608  quoted


def create_removed_index(names: Names) -> str:
    """Return the statement; the registrar asks by the same expression. A hash takes an AOR of any length."""
    return f"CREATE INDEX IF NOT EXISTS {quoted(REMOVED_INDEX)} ON {names.beside(REMOVED)} USING hash (({_aor('')}))"


def forget_removed(names: Names) -> str:
    """Return the statement that drops what nobody asked for."""
    return f"DELETE FROM {names.beside(REMOVED)} WHERE removed_at < now() - interval '{KEPT_FOR}'"  # noqa: S608  quoted


def payload(user: str, host: str) -> str:
    """Return the expression of the payload for two expressions."""
    named = f"pg_catalog.json_build_array({user}, {host})::text"
    return f"CASE WHEN pg_catalog.octet_length({named}) <= {PAYLOAD_MAX} THEN {named} ELSE '{EVERYTHING}' END"


def function_body(names: Names) -> str:
    """Return the body of the trigger function.

    One run a statement, so that COPY of 10,000 rows costs one notification. PostgreSQL itself drops those that a
    transaction repeats. The statements are planned when they are first reached: each kind of trigger has only its own
    transition table.

    Removed rows are kept for their unregistration (``docs/decisions/136-a-row-removed-while-no-registrar-lives.md``).
    Where that fails, the edit does not.
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
    BEGIN
        IF TG_OP IN ('INSERT', 'UPDATE') THEN {_found_again(names)}; END IF;
        IF TG_OP = 'UPDATE' THEN {_keep(names, "rows_before")} WHERE NOT EXISTS
            (SELECT FROM rows_after AS a WHERE {_SAME_AOR});
        ELSIF TG_OP = 'DELETE' THEN {_keep(names, "rows_before")};
        ELSIF TG_OP = 'TRUNCATE' THEN EXECUTE pg_catalog.format('{_keep(names, "%s")}', TG_RELID::regclass);
        END IF;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'dialog-sip: rows that are removed while no registrar runs are not unregistered (%)', SQLSTATE;
    END;
    RETURN NULL;
END
"""


_SAME_AOR = "a.sip_user::text = r.sip_user::text AND a.sip_host::text = r.sip_host::text"


def _keep(names: Names, source: str) -> str:
    columns = ", ".join(REMOVED_COLUMNS)
    values = ", ".join(f"r.{column}::text" for column in REMOVED_COLUMNS)
    return f"INSERT INTO {names.beside(REMOVED)} ({columns}) SELECT {values} FROM {source} AS r"  # noqa: S608  quoted


def _found_again(names: Names) -> str:
    # The collation is that of the index, whatever the columns of the table have.
    found = f'SELECT ({_aor("a.")}) COLLATE "default" FROM rows_after AS a'  # noqa: S608  names of ours
    return f"DELETE FROM {names.beside(REMOVED)} AS r WHERE {_aor('r.')} = ANY (ARRAY({found}))"  # noqa: S608  quoted


def _aor(row: str) -> str:
    return f"{row}sip_user::text || '@' || {row}sip_host::text"


def create_function(names: Names) -> str:
    """Return the statement; the function runs as its owner, so who writes the table needs no right for it.

    A session keeps the plans that it made for the first edit. That of a single row would be nested loops, which take
    minutes for the 20,000 rows that the next statement may change: they are joined by hashing. Nor does a plan that was
    made while nothing was kept read all of it later: what is kept is found by its index.
    """
    return (
        f"CREATE OR REPLACE FUNCTION {names.beside(FUNCTION)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
        f"SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_seqscan = off SET jit = off "
        f"AS $body${function_body(names)}$body$"
    )


TRIGGERS = {
    "dialog_sip_mappings_insert": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS rows_after",
    "dialog_sip_mappings_update": (
        "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after"
    ),
    "dialog_sip_mappings_delete": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS rows_before",
    "dialog_sip_mappings_truncate": "BEFORE TRUNCATE ON {table}",
}
"""Trigger -> when it runs. Transition tables allow one event a trigger."""


def create_triggers(names: Names) -> list[str]:
    """Return the statements, each of which may be run again."""
    function = names.beside(FUNCTION)
    statements = [f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"]
    for name, when in TRIGGERS.items():
        event = when.format(table=names.qualified)
        statements.append(f"DROP TRIGGER IF EXISTS {quoted(name)} ON {names.qualified}")
        statements.append(f"CREATE TRIGGER {quoted(name)} {event} FOR EACH STATEMENT EXECUTE FUNCTION {function}()")
    return statements
