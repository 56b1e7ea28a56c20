"""Continuous archiving of a PostgreSQL: its log received, a base backup taken, all of it encrypted.

The server's own programs do it, over its replication protocol and TLS: `pg_receivewal` from a
replication slot, which keeps what nobody has fetched yet, and `pg_basebackup`. Nothing is installed
on the server. What was received lies on disk until it is encrypted, and is asked for again where it
is not: killed at any line, the next call goes on where the archive ends.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psycopg
import pyrage

from controlplane.drivers.archived_files import (
    BASE_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    RECEIVE_TIMEOUT_SECONDS,
    BaseTaken,
    check,
    created,
    ended_after,
    names_on_disk,
    on_disk,
)
from controlplane.errors import CloudRefused, CloudUnavailable, LogLost

T = TypeVar("T")
Args = ParamSpec("Args")

#: A server whose host is gone does not say so: this many seconds of silence on the network end it.
SILENCE_SECONDS = 30
LIVELY: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": SILENCE_SECONDS * 1000,
}
SEGMENT = re.compile(r"[0-9A-F]{24}")


def _speaks_our_errors(ask: Callable[Args, T]) -> Callable[Args, T]:
    @wraps(ask)
    def asked(*args: Args.args, **kwargs: Args.kwargs) -> T:
        try:
            return ask(*args, **kwargs)
        except (psycopg.Error, OSError, subprocess.TimeoutExpired) as error:
            raise CloudUnavailable(reason=" ".join(str(error).split())) from error

    return asked


class PostgreSQLLog:
    """One server. `host` has the variables of its inventory; `slot` is named by the chain."""

    def __init__(self, host: Mapping[str, Any], slot: str, recipient: str) -> None:
        self.host, self.slot = host, slot
        self.recipient = pyrage.x25519.Recipient.from_str(recipient)

    @_speaks_our_errors
    def begin(self) -> None:
        """From now on the server keeps its log for us. Errors: CloudUnavailable, CloudRefused where
        nothing bounds what it would keep: we away for long, its disk would be full."""
        with self._connect() as connection:
            row = connection.execute("SHOW max_slot_wal_keep_size").fetchone()
            if row is None or row[0] == "-1":
                raise CloudRefused(reason="the server has no max_slot_wal_keep_size")
            if self._slot_status(connection) is None:
                connection.execute(
                    "SELECT pg_create_physical_replication_slot(%s, true)", [self.slot]
                )

    @_speaks_our_errors
    def end(self) -> None:
        """The server keeps nothing for us any more. Errors: CloudUnavailable."""
        with self._connect() as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                "WHERE slot_name = %s AND NOT active",
                [self.slot],
            )

    @_speaks_our_errors
    def take_base(self, into: Path) -> BaseTaken:
        """Errors: CloudUnavailable, CloudRefused with the program's own words."""
        with self._connect() as connection:
            first = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
            command = [
                *(self._program("pg_basebackup"), "--pgdata=-", "--format=tar", "--compress=1"),
                *("--wal-method=none", "--checkpoint=fast", "--no-manifest", "--no-password"),
                self._lively(),
            ]
            with tempfile.TemporaryFile() as said:
                environment = {**os.environ, **self._environment()}
                with (
                    subprocess.Popen(
                        command, stdout=subprocess.PIPE, stderr=said, env=environment
                    ) as process,
                    ended_after(BASE_TIMEOUT_SECONDS, process),
                ):
                    assert process.stdout is not None
                    draft = into.with_name(f".{into.name}.part")
                    try:
                        with created(draft) as file:
                            pyrage.encrypt_io(process.stdout, file, [self.recipient])
                            on_disk(file)
                    except BaseException:
                        process.kill()
                        raise
                check("pg_basebackup", process.returncode, said)
            draft.replace(into)
            ended = connection.execute("SELECT clock_timestamp()").fetchone()
        assert first is not None
        assert ended is not None
        return BaseTaken(str(first[0]), ended[0])

    @_speaks_our_errors
    def receive(self, spool: Path, into: Path) -> datetime:
        """Fetches and encrypts the log so far; everything committed before the moment returned can
        be had. Errors: LogLost, CloudUnavailable, CloudRefused with the program's words."""
        self._encrypt_all(spool, into)
        with self._connect() as connection:
            if self._slot_status(connection) in (None, "lost"):
                raise LogLost(reason=f"its replication slot {self.slot} is lost")
            # A commit after the moment: recovery to a moment ends at the first that is later.
            row = connection.execute("SELECT clock_timestamp(), pg_current_xact_id()").fetchone()
            assert row is not None
            start_of_next = self._switched(connection)
            command = [
                *(self._program("pg_receivewal"), f"--directory={spool}", f"--slot={self.slot}"),
                *(f"--endpos={_lsn(start_of_next - 1)}", "--no-loop", "--no-password"),
                self._lively(),
            ]
            with tempfile.TemporaryFile() as said:
                done = subprocess.run(
                    command,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    env={**os.environ, **self._environment()},
                    timeout=RECEIVE_TIMEOUT_SECONDS,
                    check=False,
                )
                check("pg_receivewal", done.returncode, said)
            self._encrypt_all(spool, into)
            connection.execute(
                "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM "
                "pg_replication_slots WHERE slot_name = %s AND restart_lsn < %s::pg_lsn",
                [_lsn(start_of_next), self.slot, _lsn(start_of_next)],
            )
        moment: datetime = row[0]
        return moment

    def _switched(self, connection: psycopg.Connection[Any]) -> int:
        """Where the segment after the one in use begins, which is ended by this."""
        row = connection.execute(
            "SELECT pg_switch_wal()::text, pg_size_bytes(current_setting('wal_segment_size'))"
        ).fetchone()
        assert row is not None
        high, _, low = str(row[0]).partition("/")
        position, size = int(high, 16) << 32 | int(low, 16), int(row[1])
        return -(-position // size) * size

    def _encrypt_all(self, spool: Path, into: Path) -> None:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in sorted(spool.iterdir()):
            if not SEGMENT.fullmatch(file.name) and file.suffix != ".history":
                continue  # not whole yet
            kept = into / f"{file.name}.age"
            draft = kept.with_name(f".{kept.name}.part")
            with created(draft) as out:
                out.write(pyrage.encrypt(zlib.compress(file.read_bytes(), 1), [self.recipient]))
                on_disk(out)
            draft.replace(kept)
            file.unlink()
        names_on_disk(into)

    def _slot_status(self, connection: psycopg.Connection[Any]) -> str | None:
        row = connection.execute(
            "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [self.slot]
        ).fetchone()
        return str(row[0]) if row else None

    def _program(self, name: str) -> str:
        return str(Path(self.host["service_tools"]) / name)

    @staticmethod
    def _lively() -> str:
        return "--dbname=" + " ".join(f"{name}={value}" for name, value in LIVELY.items())

    def _password(self) -> str:
        if "service_admin_password" in self.host:
            return str(self.host["service_admin_password"])
        file = Path(self.host["service_admin_password_file"])
        return file.read_text(encoding="utf-8").strip()

    def _environment(self) -> dict[str, str]:
        return {
            "PGHOST": str(self.host["service_address"]),
            "PGPORT": str(self.host["service_port"]),
            "PGUSER": str(self.host["service_admin_user"]),
            "PGPASSWORD": self._password(),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self.host["service_ca_file"]),
            "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT_SECONDS),
        }

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.host["service_address"],
            port=int(self.host["service_port"]),
            dbname="postgres",
            user=self.host["service_admin_user"],
            password=self._password(),
            sslmode="verify-full",
            sslrootcert=self.host["service_ca_file"],
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="egov log archive",
            autocommit=True,
            **LIVELY,
        )


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
