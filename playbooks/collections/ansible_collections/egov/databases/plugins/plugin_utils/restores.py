"""Restoring an archive into a database made for it, as an account that may do nothing else.

What a department dumped may hold functions that run while its rows are loaded. So the loading session is never the
administrator's: it is that of the very account which will use the database.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.egov.databases.plugins.plugin_utils import load_into_older
from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    check_program,
    restore_archive,
)
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import (
    Restored,
    check_room,
    differences,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.measures import measure, prepare
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement


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
    check_room(server.disk_gib, used_bytes(server), archive["manifest"]["database_bytes"])
    make_anew(server, database, owner, account)
    restore_archive(
        archive,
        loading(server, database),
        server.as_account(account, password).environment(database),
    )
    found = measured(server, database)
    different = differences(archive["manifest"], found)
    return Restored(rows_of(found), time.monotonic() - started, different)


def loading(server: Server, database: str) -> list[str]:
    """The command that loads a dump as whoever the environment says, whole or not at all."""
    if _client_version(server) > _server_version(server):
        program = str(Path(load_into_older.__file__))
        return [sys.executable, program, str(server.tools), database]
    return [
        *(str(server.tools / "pg_restore"), "--format=custom", "--no-owner", "--no-privileges"),
        *("--exit-on-error", "--single-transaction", "--no-password", f"--dbname={database}"),
    ]


def _client_version(server: Server) -> int:
    program = str(server.tools / "pg_restore")
    check_program(program)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"\) (\d+)", said)[1])  # type: ignore[index]


def _server_version(server: Server) -> int:
    with server.connect() as connection:
        return connection.info.server_version // 10_000


def used_bytes(server: Server) -> int:
    """What its data and its log take, where the disk is a department's own."""
    if not server.disk_gib:
        return 0
    with server.connect() as connection:
        row = connection.execute(
            "SELECT sum(pg_database_size(oid)) + (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()) FROM pg_database"
        ).fetchone()
    return int(row[0]) if row else 0


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
