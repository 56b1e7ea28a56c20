"""A dump of a MariaDB database and a measure of the very same rows.

MariaDB has no snapshot that two sessions share. So the database's tables are locked against writing, for the moment in
which the dump and the measuring session each begin a transaction of their own; the lock goes as soon as both have. The
dump is by an account made for it, which can read this database and do nothing else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    MIB,
    ArchiveError,
    IsOver,
    write_archive,
)
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import rows_of
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_measures import (
    measure,
    tables_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    Session,
    account,
    make_account,
    pattern,
    quoted,
)

LOCK_PATIENCE_S = 60
#: Who waits for a lock of a table keeps its writers waiting: no longer than this, then they have their turn.
LOCK_TRY_S = 2
BEGIN_PATIENCE_S = 30
# What is told of transactions is of the same moment for whoever asks again within a tenth of a second.
LOOK_EVERY_S = 0.15
NOT_IN_ANY_SNAPSHOT = """
SELECT TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' ORDER BY 1
"""
ALL_NAMES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s ORDER BY 1"
HAS_BEGUN = """
SELECT 1 FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id
WHERE p.USER = %s
"""
PLACE = """
SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s
"""
SIZE = "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"


def dumper_of(database: str) -> str:
    """The account that dumps it."""
    return f"{database}_dump"


def back_up(server: MariaServer, database: str, archive: Any) -> dict[str, Any]:
    """Writes the archive; what the play reports of it. Errors: ArchiveError."""
    with (
        dumping(server, database, dumper_of(database)) as dumper,
        unchanged(server, database) as still,
    ):
        ((charset, collation),) = still.reading.run(PLACE, database)
        taken_at = datetime.now(UTC)
        written = write_archive(
            Path(archive["path"]),
            archive["recipient"],
            still.dump(dumper),
            dumper.environment(),
            archive["reserve_mib"] * MIB,
            lambda is_over: still.let_go(dumper.user, is_over),
        )
        measured = measure(still.reading, database)
        ((version, size),) = still.reading.run(f"SELECT VERSION(), ({SIZE})", database)
    return {
        "taken_at": taken_at.isoformat(),
        "size_bytes": written.size_bytes,
        "manifest": {
            "engine": "mariadb",
            "server_version": str(version),
            "database": database,
            "charset": charset,
            "collation": collation,
            "database_bytes": int(size),
            "sha256": written.sha256,
            "rows": rows_of(measured),
            **measured,
        },
    }


def mariadb_dump(server: MariaServer) -> list[str]:
    # No comments: they name tables as they are, and a name may have lines. No locks when it is loaded, where nobody else
    # is: under them a table whose default is a sequence could not be filled. Nor is a table one transaction, as it is by
    # default from 11.8 on: a server may bound these.
    return [
        *(str(server.tools / "mariadb-dump"), *server.options(), "--single-transaction"),
        *(
            "--skip-lock-tables",
            "--skip-add-locks",
            "--skip-no-autocommit",
            "--skip-comments",
            "--hex-blob",
            "--max-allowed-packet=1G",
        ),
        *("--routines", "--events", "--triggers"),
    ]


@contextmanager
def dumping(server: MariaServer, database: str, name: str) -> Iterator[MariaServer]:
    """The server as an account of that name that dumps the database, and is gone afterwards."""
    password = secrets.token_urlsafe(24)
    make_account(server, name, password)
    with server.connect() as session:
        rights = "SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT"
        session.run(f"GRANT {rights} ON {pattern(database)}.* TO {account(name)}")
        session.run(f"GRANT SELECT ON mysql.proc TO {account(name)}")
        try:
            yield server.as_account(name, password)
        finally:
            session.run(f"DROP USER IF EXISTS {account(name)}")


@dataclass(frozen=True)
class Still:
    """A database as it is at one moment: `locking` holds its tables locked, `reading` has begun to read them as they are. What
    the second has looked at cannot be emptied, altered or dropped until it ends."""

    database: str
    locking: Session
    reading: Session

    def dump(self, dumper: MariaServer) -> list[str]:
        """The command that writes all that is in it."""
        names = self.reading.names(ALL_NAMES, self.database)
        return [*mariadb_dump(dumper), self.database, "--", *names]

    def let_go(self, user: str, is_over: IsOver) -> None:
        """Once `user` has begun to dump, who writes waits no more; tables that no snapshot holds stay locked."""
        _wait_for_begin(self.locking, user, is_over)
        self.locking.run("UNLOCK TABLES")
        _lock(self.locking, self.database, self.locking.names(NOT_IN_ANY_SNAPSHOT, self.database))


@contextmanager
def unchanged(server: MariaServer, database: str) -> Iterator[Still]:
    with server.connect(database) as locking, server.connect(database) as reading:
        _lock(locking, database, tables_of(locking, database))
        reading.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reading.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        for table in tables_of(reading, database):
            reading.run(f"SELECT 1 FROM {quoted(database, table)} LIMIT 0")  # noqa: S608 - quoted
        yield Still(database, locking, reading)
        reading.run("COMMIT")


def _lock(session: Session, database: str, tables: list[str]) -> None:
    """Errors: ArchiveError where writers hold one of them all the time."""
    if not tables:
        return
    session.run(f"SET SESSION lock_wait_timeout = {LOCK_TRY_S}")
    wanted = ", ".join(f"{quoted(database, table)} READ" for table in tables)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            session.run(f"LOCK TABLES {wanted}")
        except pymysql.OperationalError as error:
            if error.args[0] != pymysql.constants.ER.LOCK_WAIT_TIMEOUT:
                raise
            if time.monotonic() > deadline:
                raise ArchiveError(
                    "a transaction has kept a table to itself for a minute: end it, and back up again"
                ) from error
            time.sleep(LOCK_TRY_S)
        else:
            return


def _wait_for_begin(session: Session, user: str, is_over: IsOver) -> None:
    """Until the dump has begun its transaction, or has ended already: whatever it read, it read under the lock.

    Errors: ArchiveError.
    """
    deadline = time.monotonic() + BEGIN_PATIENCE_S
    while not is_over() and not session.run(HAS_BEGUN, user):
        if time.monotonic() > deadline:
            raise ArchiveError("the dump has not begun within half a minute; nothing was written")
        time.sleep(LOOK_EVERY_S)
