"""Restoring an archive into a database made for it, as an account that may do nothing else.

What a department dumped may hold functions that run while its rows are loaded. So the loading session is never the
administrator's: it is that of the very account which will use the database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils.archives import restore_archive
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    differences,
    measure,
    prepare,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement


@dataclass(frozen=True)
class Restored:
    """How a restore went: `different` says, a sentence each, where it is not what the manifest says."""

    rows: int
    seconds: float
    different: Sequence[str]


def restore(
    server: Server,
    archive: Mapping[str, Any],
    database: str,
    owner: str,
    account: str,
    password: str,
) -> Restored:
    """Makes `database` anew, owned by `owner`, loads the proven archive as `account`, compares. Errors: ArchiveError.

    The time runs from the first statement to the last compared row.
    """
    started = time.monotonic()
    with server.connect() as connection:
        connection.execute(statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))
        connection.execute(
            statement(
                "CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0", database, owner
            )
        )
        connection.execute(
            statement("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", database)
        )
        set_role(connection, database, account, owner)
    with server.connect(database) as connection:
        close_public_schema(connection, owner)
    restore_archive(
        archive,
        [
            *(str(server.tools / "pg_restore"), "--format=custom", "--no-owner", "--no-privileges"),
            *("--exit-on-error", "--single-transaction", "--no-password", f"--dbname={database}"),
        ],
        server.as_account(account, password).environment(database),
    )
    with server.connect(database) as connection:
        prepare(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = measure(connection)
        connection.execute("COMMIT")
    different = differences(archive["manifest"], found)
    return Restored(rows_of(found), time.monotonic() - started, different)


def set_role(connection: Any, database: str, account: str, owner: str) -> None:
    """What an account makes in the database belongs to the owner."""
    connection.execute(
        statement("ALTER ROLE {} IN DATABASE {} SET role TO {}", account, database, owner)
    )


def close_public_schema(connection: Any, owner: str) -> None:
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    connection.execute(statement("ALTER SCHEMA public OWNER TO {}", owner))
