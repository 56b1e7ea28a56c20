"""What is in a MariaDB database, in the words of `manifests.py`: rows of each table by count and checksum, other objects
by kind and number.

The checksum of a table is the sum of 64 bits of MD5 over each row's text: it does not depend on the rows' order. Only
tables are read, and no view, so that nothing which a department made runs as the administrator.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import Session, quoted

TABLE_TYPES = "('BASE TABLE', 'SYSTEM VERSIONED')"
TABLES = f"""
SELECT TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN {TABLE_TYPES} ORDER BY 1
"""  # noqa: S608 - no input
# When a row was written is not what was written.
COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
  AND COALESCE(GENERATION_EXPRESSION, '') NOT IN ('ROW START', 'ROW END')
ORDER BY ORDINAL_POSITION
"""
OBJECTS = {
    "tables": f"FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN {TABLE_TYPES}",
    "sequences": "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'SEQUENCE'",
    "views": "FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
    "triggers": "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "functions": "FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s",
    "events": "FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
    "constraints": "FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = %s",
    "indexes": "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND SEQ_IN_INDEX = 1",
}
#: Types whose values may be larger than what twice their length would leave of a packet.
LARGE = ("blob", "text", "json", "geometry", "point", "polygon", "linestring", "collection")


def tables_of(session: Session, database: str) -> list[str]:
    return session.names(TABLES, database)


def measure(session: Session, database: str) -> dict[str, Any]:
    """`{tables: {name: {rows, checksum}}, objects: {kind: number}}` of the session's snapshot."""
    tables = {}
    for table in tables_of(session, database):
        columns = [(str(n), str(kind)) for n, kind in session.run(COLUMNS, database, table)]
        ((rows, checksum),) = session.run(_rows(database, table, columns))
        tables[table] = {"rows": int(rows), "checksum": str(checksum)}
    objects = {
        kind: int(session.run(f"SELECT COUNT(*) {where}", database)[0][0])
        for kind, where in OBJECTS.items()
    }
    return {"tables": tables, "objects": {k: n for k, n in objects.items() if n}}


def _rows(database: str, table: str, columns: list[tuple[str, str]]) -> str:
    texts = ", ".join(_text(name, kind) for name, kind in columns)
    digest = f"CAST(CONV(LEFT(MD5(CONCAT_WS(',', {texts})), 16), 16, 10) AS UNSIGNED)"
    return f"SELECT COUNT(*), COALESCE(SUM({digest}), 0) FROM {quoted(database, table)}"  # noqa: S608 - quoted


def _text(column: str, kind: str) -> str:
    """A value's own text in letters that no other value has, so that two together are never read as two others."""
    name = quoted(column)
    letters = f"MD5({name})" if kind.endswith(LARGE) else f"HEX(CAST({name} AS BINARY))"
    return f"IFNULL({letters}, '-')"
