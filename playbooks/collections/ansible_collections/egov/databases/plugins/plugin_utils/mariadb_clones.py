"""A copy of one MariaDB database in another, on the same server or on another: dumped, loaded and compared of one moment, on no
disk between."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    BLOCK_BYTES,
    ArchiveError,
    IsOver,
    last_words,
)
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import (
    Restored,
    check_room,
    differences,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_dumps import (
    PLACE,
    SIZE,
    dumping,
    unchanged,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_measures import measure
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import (
    Anonymous,
    loading,
    make_anew,
    used_bytes,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import MariaServer

#: Letters of the copy's name that tell the accounts of copies of one database apart.
TOLD_APART_BY = 6


def dumper_of(source: str, database: str) -> str:
    """The account that dumps it for that other one: no account of a department's has such a name."""
    return f"{source}_clone-{database[-TOLD_APART_BY:]}"


def clone(
    server: MariaServer,
    source: str,
    target: MariaServer,
    database: str,
    into: str,
    loader: str,
    password: str,
) -> Restored:
    """Makes `into` anew with what `source` has now, loaded as `loader`: what `database` will lead to.

    The account that dumps goes with the source if nothing removes it before, and is not that of a backup which may be under way. Errors: ArchiveError with the last words of the program that failed.
    """
    started = time.monotonic()
    with (
        dumping(server, source, dumper_of(source, database)) as dumper,
        unchanged(server, source) as still,
    ):
        ((charset, collation),) = still.reading.run(PLACE, source)
        size = int(still.reading.run(SIZE, source)[0][0])
        check_room(target.disk_gib, used_bytes(target), size)
        make_anew(target, into, loader, {"charset": charset, "collation": collation})
        dump, by = still.dump(dumper), target.as_account(loader, password)
        pass_on(dump, dumper, source, by, into, lambda is_over: still.let_go(dumper.user, is_over))
        expected = measure(still.reading, source)
    with target.connect(into) as session:
        found = measure(session, into)
    return Restored(rows_of(found), time.monotonic() - started, differences(expected, found))


def pass_on(
    dump: Sequence[str],
    dumper: MariaServer,
    database: str,
    loader: MariaServer,
    into: str,
    meanwhile: Callable[[IsOver], object] = lambda _: None,
) -> None:
    """What the command `dump` writes of `database` is loaded into another, without who made what. `meanwhile` is called once it
    has started. Errors: ArchiveError, and those of `meanwhile`."""
    with (
        tempfile.TemporaryFile() as dump_said,
        tempfile.TemporaryFile() as load_said,
        subprocess.Popen(
            dump,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=dump_said,
            env={**os.environ, **dumper.environment()},
        ) as reading,
        subprocess.Popen(
            loading(loader, into),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=load_said,
            env={**os.environ, **loader.environment()},
        ) as writing,
    ):
        assert reading.stdout
        assert writing.stdin
        through = Anonymous(writing.stdin, database)
        try:
            meanwhile(lambda: reading.poll() is not None)
            while block := reading.stdout.read(BLOCK_BYTES):
                through.write(block)
            through.close()
        except BrokenPipeError:  # it has said why
            reading.kill()
        except BaseException:
            for process in (reading, writing):
                process.kill()
            raise
        for process, said in ((writing, load_said), (reading, dump_said)):
            if process.wait():
                name = Path(str(process.args[0])).name  # type: ignore[index]
                raise ArchiveError(f"{name} failed: {last_words(said) or process.returncode}")
