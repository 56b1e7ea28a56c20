"""What is in a database, so that two of them can be compared: rows of each table by count and checksum, other objects
by kind and number.

The checksum of a table is the sum of 64 bits of MD5 over each row's text: it does not depend on the rows' order, and the
same rows give the same sum on every version of PostgreSQL.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

# Text of values must not depend on who asks. Names come from pg_catalog only: a department may have made functions
# and casts of any name, and this runs as the administrator.
SESSION = """
SET search_path = pg_catalog;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET row_security = off;
"""
# Only tables are read, also where one was exchanged for a view a moment ago; servers that know the setting.
NO_VIEWS = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = %s"

TABLES = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""
OBJECTS = """
SELECT kind, count(*) FROM (
    SELECT CASE c.relkind WHEN 'r' THEN 'tables' WHEN 'p' THEN 'tables' WHEN 'i' THEN 'indexes' WHEN 'I' THEN 'indexes'
        WHEN 'S' THEN 'sequences' WHEN 'v' THEN 'views' WHEN 'm' THEN 'views' ELSE 'others' END AS kind
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'functions' FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'constraints' FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.contype <> 'n'
    UNION ALL
    SELECT 'triggers' FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'large_objects' FROM pg_catalog.pg_largeobject_metadata
) found GROUP BY kind ORDER BY kind
"""
# format() asks a type for its own text and never a cast, which a department could have made.
ROWS = """
SELECT count(*), coalesce(sum(('x' || substr(md5(format('%s', t)), 1, 16))::bit(64)::bigint::numeric), 0)
FROM ONLY {}.{} AS t
"""


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Settings of the session, before its first transaction."""
    connection.execute(SESSION)
    connection.execute(NO_VIEWS, ["restrict_nonsystem_relation_kind"])


def begin_unchanged(connection: psycopg.Connection[Any], lock_patience_ms: int) -> None:
    """Begins a transaction in which dump and measure see the very same rows.

    A snapshot alone is not enough: TRUNCATE and a table's rewriting empty the table for older snapshots too. So
    what is there is locked against them first, by the weakest lock, which stands in the way of no reader and writer.
    """
    tables = connection.execute(TABLES).fetchall()
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(lock_patience_ms)))
    for schema, table in tables:
        lock = sql.SQL("LOCK TABLE ONLY {}.{} IN ACCESS SHARE MODE")
        connection.execute(lock.format(sql.Identifier(schema), sql.Identifier(table)))


def measure(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """`{tables: {"schema.table": {rows, checksum}}, objects: {kind: number}}` of the transaction's snapshot."""
    tables = {}
    for schema, table in connection.execute(TABLES).fetchall():
        query = sql.SQL(ROWS).format(sql.Identifier(schema), sql.Identifier(table))  # type: ignore[arg-type]
        row = connection.execute(query).fetchone()
        assert row is not None
        tables[f"{schema}.{table}"] = {"rows": int(row[0]), "checksum": str(row[1])}
    objects = {kind: int(number) for kind, number in connection.execute(OBJECTS).fetchall()}
    return {"tables": tables, "objects": objects}
