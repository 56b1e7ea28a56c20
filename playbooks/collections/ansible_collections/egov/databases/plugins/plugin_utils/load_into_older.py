"""Loads a dump into a PostgreSQL that is older than our `pg_restore`: what that would send there, by way of `psql`, without
the one setting at its beginning that an older server does not know.

A program of its own: `load_into_older.py TOOLS DATABASE`, the dump at its standard input.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

UNKNOWN = b"SET transaction_timeout = 0;\n"
#: It stands before everything that is a department's.
HEADER_LINES = 40


def pass_on(script: IO[bytes], into: IO[bytes]) -> None:
    """Everything but that one line."""
    for _ in range(HEADER_LINES):
        line = script.readline()
        if line == UNKNOWN:
            break
        into.write(line)
    shutil.copyfileobj(script, into, 1 << 20)


def main(tools: Path, database: str) -> int:
    restore = [
        *(str(tools / "pg_restore"), "--format=custom", "--no-owner", "--no-privileges"),
        *("--exit-on-error", "--file=-"),
    ]
    psql = [
        *(str(tools / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password"),
        *("--single-transaction", f"--dbname={database}", "--file=-"),
    ]
    with (
        subprocess.Popen(restore, stdin=sys.stdin, stdout=subprocess.PIPE) as reading,
        subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as loading,
    ):
        assert reading.stdout
        assert loading.stdin
        try:
            pass_on(reading.stdout, loading.stdin)
            loading.stdin.close()
        except BrokenPipeError:  # psql has said why
            reading.kill()
    return loading.returncode or reading.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
