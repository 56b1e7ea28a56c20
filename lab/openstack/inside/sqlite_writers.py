"""Makes oslo.db usable on SQLite files under many threads.

oslo.db sends a deferred BEGIN for every transaction. One that first reads and then writes has to
upgrade its snapshot, which SQLite refuses at once ("database is locked", without waiting) if
somebody committed in between. So reads get no BEGIN, and the first write of a transaction sends
BEGIN IMMEDIATE, which does wait for its turn.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|SAVEPOINT|WITH)\b", re.IGNORECASE)


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _begin_at_first_write(
    connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
) -> tuple[str, Any]:
    if connection.dialect.name == "sqlite":
        if statement == "BEGIN":
            return "SELECT 1", ()
        if WRITES.match(statement) and not cursor.connection.in_transaction:
            cursor.connection.execute("BEGIN IMMEDIATE")
    return statement, parameters


@event.listens_for(Engine, "connect")
def _set_up_connection(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA cache_size = -8000")
        connection.execute("PRAGMA temp_store = MEMORY")
