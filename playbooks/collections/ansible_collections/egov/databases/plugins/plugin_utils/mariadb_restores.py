"""Restoring an archive into a MariaDB database made for it, as an account that may do nothing else.

Views, triggers and routines run in the name of whoever made them. Here that is the loading account, so the name that the
dump has for it is left out; so is the name of the database, which is another one now. Events sleep until what was restored
takes its place: they would change what is to be compared.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import IO, Any

from ansible_collections.egov.databases.plugins.plugin_utils.archives import restore_archive
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import (
    Restored,
    check_room,
    differences,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_measures import measure
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    WITHOUT_LIMITS,
    MariaServer,
    account,
    pattern,
    quoted,
)

_NAME = rb"`(?:[^`]|``)*`"
#: How `mariadb-dump` begins lines that name who made something; rows begin with `(` or `INSERT`.
OF_SOMEBODY = re.compile(
    rb"^(CREATE |/\*!50003 CREATE\*/ /\*!50017 |/\*!50106 CREATE\*/ /\*!50117 |/\*!50013 )DEFINER="
    + _NAME
    + rb"@"
    + _NAME
    + rb" ?"
)
#: One that is to run, without its maker. What follows on its line is its department's.
AWAKE = re.compile(
    rb"^(/\*!50106 CREATE\*/ (?:/\*!50117 \*/ )?/\*!50106 EVENT "
    + _NAME
    + rb" ON SCHEDULE (?:(?! ON COMPLETION ).)*? ON COMPLETION (?:NOT )?PRESERVE )ENABLE\b"
)
AN_EVENT = b"/*!50106 CREATE*/"
#: Lines that may name the database before what is in it: a column whose default is a sequence, what a view shows.
IN_A_TABLE, A_VIEW = b"  `", b"/*!50001 VIEW `"


class Anonymous:
    """Passes a dump on line by line, without who made what and without the name of its database, its events asleep."""

    def __init__(self, into: IO[bytes], database: str) -> None:
        self._into, self._rest = into, b""
        self._prefix = quoted(database).encode() + b"."

    def write(self, block: bytes) -> int:
        *lines, self._rest = (self._rest + bytes(block)).split(b"\n")
        if lines:
            self._into.write(b"\n".join([self._plain(line) for line in lines]) + b"\n")
        return len(block)

    def flush(self) -> None:
        self._into.flush()

    def close(self) -> None:
        self._into.write(self._plain(self._rest))
        self._into.close()

    def _plain(self, line: bytes) -> bytes:
        if line.startswith((IN_A_TABLE, A_VIEW)):
            return line.replace(self._prefix, b"")
        if line.startswith((b"CREATE DEFINER", b"/*!50")):
            line = OF_SOMEBODY.sub(rb"\1", line, count=1)
        if line.startswith(AN_EVENT):
            line = AWAKE.sub(rb"\1DISABLE ON SLAVE", line, count=1)
        return line


def restore(
    server: MariaServer, archive: Mapping[str, Any], database: str, loader: str, password: str
) -> Restored:
    """Makes `database` anew, loads the proven archive as `loader`, compares. Errors: ArchiveError.

    The time runs from the first statement to the last compared row.
    """
    started, manifest = time.monotonic(), archive["manifest"]
    check_room(server.disk_gib, used_bytes(server), manifest["database_bytes"])
    make_anew(server, database, loader, manifest)
    by = server.as_account(loader, password)
    restore_archive(
        archive,
        loading(by, database),
        by.environment(),
        lambda into: Anonymous(into, manifest["database"]),
    )
    with server.connect(database) as session:
        found = measure(session, database)
    different = differences(manifest, found)
    return Restored(rows_of(found), time.monotonic() - started, different)


def loading(loader: MariaServer, database: str) -> list[str]:
    """The command that loads a dump; it may touch no file, whatever the dump says."""
    return [
        *(str(loader.tools / "mariadb"), *loader.options(), "--batch", "--sandbox"),
        *("--local-infile=0", "--max-allowed-packet=1G", f"--database={database}"),
        f"--init-command=SET SESSION {WITHOUT_LIMITS}",
    ]


def used_bytes(server: MariaServer) -> int:
    """What its data take, where the disk is a department's own."""
    if not server.disk_gib:
        return 0
    size = "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES"
    with server.connect() as session:
        return int(session.run(size)[0][0])


def make_anew(server: MariaServer, database: str, loader: str, like: Mapping[str, Any]) -> None:
    """An empty database in the place of whatever an earlier try left, all of it the loader's."""
    with server.connect() as session:
        session.run(f"DROP DATABASE IF EXISTS {quoted(database)}")
        session.run(
            f"CREATE DATABASE {quoted(database)} CHARACTER SET {quoted(like['charset'])} "
            f"COLLATE {quoted(like['collation'])}"
        )
        session.run(f"GRANT ALL ON {pattern(database)}.* TO {account(loader)}")
