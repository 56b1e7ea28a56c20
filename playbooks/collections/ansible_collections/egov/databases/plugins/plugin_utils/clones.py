"""A copy of one database in another of the same server: dumped, loaded and compared in one snapshot, on no disk between."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time

from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    ArchiveError,
    last_words,
)
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    begin_unchanged,
    differences,
    measure,
    prepare,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.restores import (
    Restored,
    make_anew,
    measured,
    pg_restore,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server

LOCK_PATIENCE_MS = 60_000


def clone(
    server: Server, source: str, database: str, owner: str, account: str, password: str
) -> Restored:
    """Makes `database` anew, owned by `owner`, with what `source` has now, loaded as `account`.

    Errors: ArchiveError with the last words of the program that failed.
    """
    started = time.monotonic()
    make_anew(server, database, owner, account)
    with server.connect(source) as connection:
        prepare(connection)
        begin_unchanged(connection, LOCK_PATIENCE_MS)
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        _copy(server, source, str(row[0]), server.as_account(account, password), database)
        expected = measure(connection)
        connection.execute("COMMIT")
    found = measured(server, database)
    return Restored(rows_of(found), time.monotonic() - started, differences(expected, found))


def _copy(server: Server, source: str, snapshot: str, loader: Server, database: str) -> None:
    dump = [
        *(str(server.tools / "pg_dump"), "--format=custom", "--compress=0", "--no-password"),
        *(f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_PATIENCE_MS}"),
    ]
    load = [*pg_restore(server), f"--dbname={database}"]
    with tempfile.TemporaryFile() as dump_said, tempfile.TemporaryFile() as load_said:
        with subprocess.Popen(
            dump,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=dump_said,
            env={**os.environ, **server.environment(source)},
        ) as reading:
            loading = subprocess.run(
                load,
                stdin=reading.stdout,
                stdout=subprocess.DEVNULL,
                stderr=load_said,
                env={**os.environ, **loader.environment(database)},
                check=False,
            )
            if loading.returncode and reading.poll() is None:
                reading.kill()  # it would wait for somebody to read on
        if reading.returncode > 0:
            raise ArchiveError(f"pg_dump failed: {last_words(dump_said) or reading.returncode}")
        if loading.returncode:
            raise ArchiveError(f"pg_restore failed: {last_words(load_said) or loading.returncode}")
