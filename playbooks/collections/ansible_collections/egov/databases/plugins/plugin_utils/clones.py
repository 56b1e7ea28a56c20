"""A copy of one database in another, on the same server or on another: dumped, loaded and compared in one snapshot, on no disk
between."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time

from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    ArchiveError,
    last_words,
)
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import (
    Restored,
    check_room,
    differences,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    begin_unchanged,
    measure,
    prepare,
)
from ansible_collections.egov.databases.plugins.plugin_utils.restores import (
    loading,
    make_anew,
    measured,
    used_bytes,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server

LOCK_PATIENCE_MS = 60_000


def clone(
    server: Server,
    source: str,
    database: str,
    owner: str,
    account: str,
    password: str,
    target: Server,
) -> Restored:
    """Makes `database` anew on `target`, owned by `owner`, with what `source` has now on `server`, loaded as `account`.

    Errors: ArchiveError with the last words of the program that failed, or where there is no room.
    """
    started = time.monotonic()
    with server.connect(source) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    check_room(target.disk_gib, used_bytes(target), int(row[0]) if row else 0)
    make_anew(target, database, owner, account)
    with server.connect(source) as connection:
        prepare(connection)
        begin_unchanged(connection, LOCK_PATIENCE_MS)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        _copy(server, source, str(row[0]), target, target.as_account(account, password), database)
        expected = measure(connection)
        connection.execute("COMMIT")
    found = measured(target, database)
    return Restored(rows_of(found), time.monotonic() - started, differences(expected, found))


def _copy(
    server: Server, source: str, snapshot: str, target: Server, loader: Server, database: str
) -> None:
    dump = [
        *(str(server.tools / "pg_dump"), "--format=custom", "--compress=0", "--no-password"),
        *(f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_PATIENCE_MS}"),
    ]
    load = loading(target, database)
    with tempfile.TemporaryFile() as dump_said, tempfile.TemporaryFile() as load_said:
        with subprocess.Popen(
            dump,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=dump_said,
            env={**os.environ, **server.environment(source)},
        ) as reading:
            loaded = subprocess.run(
                load,
                stdin=reading.stdout,
                stdout=subprocess.DEVNULL,
                stderr=load_said,
                env={**os.environ, **loader.environment(database)},
                check=False,
            )
            if loaded.returncode and reading.poll() is None:
                reading.kill()  # it would wait for somebody to read on
        if reading.returncode > 0:
            raise ArchiveError(f"pg_dump failed: {last_words(dump_said) or reading.returncode}")
        if loaded.returncode:
            raise ArchiveError(f"pg_restore failed: {last_words(load_said) or loaded.returncode}")
