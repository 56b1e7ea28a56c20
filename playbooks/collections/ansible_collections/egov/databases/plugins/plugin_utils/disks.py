"""A database is held to its plan's disk: closed for writing when it has more, open again when it has not.

Closed means that every new transaction begins as reading only, and that no session from before is left. Whoever has to make
room says `SET default_transaction_read_only = off` in a session of his own: the way out stays open.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement

GIB = 1 << 30
STATE = """
SELECT pg_database_size(d.oid), EXISTS (
    SELECT FROM pg_db_role_setting s
    WHERE s.setdatabase = d.oid AND s.setrole = 0 AND 'default_transaction_read_only=on' = ANY (s.setconfig))
FROM pg_database d WHERE d.datname = %s
"""


@dataclass(frozen=True)
class Held:
    used_bytes: int
    is_read_only: bool
    changed: bool


def hold(server: Server, database: str, limit_gib: int) -> Held:
    """Errors: ArchiveError where there is no such database."""
    with server.connect() as connection:
        row = connection.execute(STATE, [database]).fetchone()
        if row is None:
            raise ArchiveError(f"there is no database {database}")
        used_bytes, was_closed = int(row[0]), bool(row[1])
        is_full = used_bytes > limit_gib * GIB
        if is_full and not was_closed:
            connection.execute(
                statement("ALTER DATABASE {} SET default_transaction_read_only = on", database)
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename <> current_user",
                [database],
            )
        elif was_closed and not is_full:
            connection.execute(
                statement("ALTER DATABASE {} RESET default_transaction_read_only", database)
            )
    return Held(used_bytes, is_full, is_full is not was_closed)
