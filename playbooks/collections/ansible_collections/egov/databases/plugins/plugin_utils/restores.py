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
    make_anew(server, database, owner, account)
    restore_archive(
        archive,
        [*pg_restore(server), f"--dbname={database}"],
        server.as_account(account, password).environment(database),
    )
    found = measured(server, database)
    different = differences(archive["manifest"], found)
    return Restored(rows_of(found), time.monotonic() - started, different)


def pg_restore(server: Server) -> list[str]:
    """The command that loads a dump as whoever the environment says, whole or not at all."""
    return [
        *(str(server.tools / "pg_restore"), "--format=custom", "--no-owner", "--no-privileges"),
        *("--exit-on-error", "--single-transaction", "--no-password"),
    ]


def measured(server: Server, database: str) -> dict[str, Any]:
    """What is in a database that nobody writes to."""
    with server.connect(database) as connection:
        prepare(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = measure(connection)
        connection.execute("COMMIT")
    return found


def make_anew(server: Server, database: str, owner: str, account: str) -> None:
    """An empty database in the place of whatever an earlier try left."""
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


def set_role(connection: Any, database: str, account: str, owner: str) -> None:
    """What an account makes in the database belongs to the owner."""
    connection.execute(
        statement("ALTER ROLE {} IN DATABASE {} SET role TO {}", account, database, owner)
    )


def close_public_schema(connection: Any, owner: str) -> None:
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    connection.execute(statement("ALTER SCHEMA public OWNER TO {}", owner))
