"""Continuous archiving of a MariaDB: its binary log fetched, a base taken, all of it encrypted.

The log is fetched by `mariadb-binlog` as the server has it, a file at a time; each file is closed
first, so that it is whole. A base is a dump of each department's database, with the place in the
log from which on it is to be replayed. Nothing is installed on the server. Killed at any line, the
next call goes on where the archive ends.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

import pymysql
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

#: A server whose host is gone does not say so; a lock that is not had by then is waited for later.
SILENCE_SECONDS = 60
#: As plays name databases, with those beside that a restore or an exchange makes for a while: what
#: is renamed out of one must have been in it. A drill's is never renamed.
OF_DEPARTMENTS = re.compile(r"[a-z][a-z0-9_]*_[0-9a-f]{6}(_restoring|_exchange)?")
#: In the place of a dump that could not be made.
LACKING = ".lacking"
NUMBER = re.compile(r"\.([0-9]+)$")
#: Written by `mariadb-dump` before anything that is a department's.
PLACE = re.compile(
    rb"^-- CHANGE MASTER TO MASTER_LOG_FILE='[^']*\.([0-9]+)', MASTER_LOG_POS=([0-9]+);", re.M
)
HEAD_BYTES = 1 << 16
GZIP = 31
#: What a file of the log begins with before its first transaction is fewer events than this.
FIRST_EVENTS = 20
#: What must be so, and why it would not do otherwise.
NEEDED = {
    "log_bin": ("1", "the server has no log_bin"),
    "binlog_format": ("ROW", "the server's binlog_format is not ROW"),
    "binlog_row_image": ("FULL", "the server's binlog_row_image is not FULL"),
}


def _speaks_our_errors(ask: Callable[Args, T]) -> Callable[Args, T]:
    @wraps(ask)
    def asked(*args: Args.args, **kwargs: Args.kwargs) -> T:
        try:
            return ask(*args, **kwargs)
        except (pymysql.MySQLError, OSError, subprocess.TimeoutExpired) as error:
            said = error.args[-1] if isinstance(error, pymysql.MySQLError) else error
            raise CloudUnavailable(reason=" ".join(str(said).split())) from error

    return asked


@dataclass(frozen=True)
class LogFile:
    """One file of the server's log, and how long it is."""

    name: str
    size_bytes: int

    @property
    def number(self) -> int:
        return number_of(self.name)


class MariaDBLog:
    """One server. `host` has the variables of its inventory; a MariaDB knows no slots."""

    def __init__(self, host: Mapping[str, Any], _slot: str, recipient: str) -> None:
        self.host = host
        self.recipient = pyrage.x25519.Recipient.from_str(recipient)

    @_speaks_our_errors
    def begin(self) -> None:
        """Whether there is a log that can be replayed, and whose disk is bounded. Errors:
        CloudUnavailable, CloudRefused."""
        with self._connect() as session:
            for name, (wanted, why) in NEEDED.items():
                if str(session.one(f"SELECT @@GLOBAL.{name}")) != wanted:
                    raise CloudRefused(reason=why)
            if not session.one("SELECT @@GLOBAL.binlog_expire_logs_seconds"):
                raise CloudRefused(reason="the server has no binlog_expire_logs_seconds")

    def end(self) -> None:
        """The server keeps nothing for us."""

    @_speaks_our_errors
    def take_base(self, into: Path) -> BaseTaken:
        """A folder with a dump of each database and, beside it, where in the log it is of. Errors:
        CloudUnavailable, CloudRefused with the program's own words."""
        for left in into.parent.glob(".*.part"):
            shutil.rmtree(left)  # of one that was ended half-way
        draft = into.with_name(f".{into.name}.part")
        draft.mkdir(mode=0o700, parents=True)
        with self._connect() as session:
            session.run("FLUSH BINARY LOGS")
            first = number_of(self._current(session))
            faults = [
                fault
                for (name,) in session.run("SHOW DATABASES")
                if OF_DEPARTMENTS.fullmatch(name) and (fault := self._tried(name, draft, session))
            ]
            ended_at = self._now(session)
        names_on_disk(draft)
        shutil.rmtree(into, ignore_errors=True)
        draft.rename(into)
        return BaseTaken(segment_of(first), ended_at, "; ".join(faults)[:2000])

    def _tried(self, database: str, into: Path, session: _Session) -> str:
        """Why a database could not be dumped, such as a view of what is not there: its department's
        affair, and no reason to have no base of the others. Errors: pymysql.MySQLError (the server
        does not answer any more), OSError."""
        try:
            self._dump(database, into)
        except (pymysql.MySQLError, CloudRefused) as error:
            if not session.run("SHOW DATABASES LIKE %s", database.replace("_", r"\_")):
                why = ""  # it has gone meanwhile
            else:
                told = error.params["reason"] if isinstance(error, CloudRefused) else error.args[-1]
                why = f"{database}: {told}"
            (into / f"{database}.age").unlink(missing_ok=True)
            (into / f"{database}{LACKING}").write_text(why, encoding="utf-8")
            return why
        return ""

    def _dump(self, database: str, into: Path) -> None:
        """Errors: pymysql.MySQLError, CloudRefused, OSError."""
        kept = into / f"{database}.age"
        with self._unaltered(database) as (charset, collation), tempfile.TemporaryFile() as said:
            command = [
                *(self._program("mariadb-dump"), *self._options(), "--single-transaction"),
                *("--master-data=2", "--skip-lock-tables", "--skip-add-locks", "--skip-comments"),
                "--skip-no-autocommit",
                *("--default-character-set=utf8mb4", "--hex-blob", "--max-allowed-packet=1G"),
                *("--routines", "--events", "--triggers"),
                database,
            ]
            with (
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=said, env=self._environment()
                ) as process,
                ended_after(BASE_TIMEOUT_SECONDS, process),
            ):
                assert process.stdout is not None
                packed = _Packed(process.stdout)
                try:
                    with created(kept) as file:
                        pyrage.encrypt_io(packed, file, [self.recipient])
                        on_disk(file)
                except BaseException:
                    process.kill()
                    raise
            check("mariadb-dump", process.returncode, said)
        found = PLACE.search(packed.head)
        if found is None:
            raise CloudRefused(reason="mariadb-dump does not tell its place in the binary log")
        told = {
            "segment": segment_of(int(found[1])),
            "position": int(found[2]),
            "charset": charset,
            "collation": collation,
        }
        with created(kept.with_suffix(".json")) as file:
            file.write(json.dumps(told).encode())
            on_disk(file)

    @contextmanager
    def _unaltered(self, database: str) -> Iterator[tuple[str, str]]:
        """Its character set and collation; none of its tables is altered, emptied or dropped until
        the end. Those who read and write do not notice."""
        tables = (
            "SELECT TABLE_NAME FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        )
        place = (
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME "
            "FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        )
        with self._connect() as holding:
            holding.run("START TRANSACTION READ ONLY")
            for (table,) in holding.run(tables, database):
                name = ".".join("`" + each.replace("`", "``") + "`" for each in (database, table))
                holding.run(f"SELECT 1 FROM {name} LIMIT 0")  # noqa: S608 - quoted
            ((charset, collation),) = holding.run(place, database)
            yield str(charset), str(collation)

    @_speaks_our_errors
    def receive(self, spool: Path, into: Path) -> datetime:
        """Fetches and encrypts the log so far; everything committed before the moment returned, a
        whole second, can be had. Errors: LogLost, CloudUnavailable, CloudRefused with the
        program's words."""
        for folder in (spool, into):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in spool.iterdir():
            left.unlink()  # it may not be whole
        kept = max((int(file.stem, 16) for file in into.glob("*.age")), default=None)
        with self._connect() as session:
            reached_at = self._now(session).replace(microsecond=0)
            current = self._closed(session)
            files = [LogFile(str(row[0]), int(row[1])) for row in session.run("SHOW BINARY LOGS")]
            fresh = [f for f in files if kept is None or f.number > kept]
            if kept is not None and (not fresh or fresh[0].number != kept + 1):
                raise LogLost(reason=f"its binary log after number {kept} is not there any more")
            for file in fresh:
                # A base that is begun at this moment closes one more, which is the next call's.
                if file.number < number_of(current):
                    self._fetch(file, spool, into)
            # A replica reads on by itself; where none does, nobody needs what we have.
            if not session.run("SHOW SLAVE HOSTS"):
                session.run("PURGE BINARY LOGS TO %s", current)
        return reached_at

    def _closed(self, session: _Session) -> str:
        """The file in use, which holds no transaction: those before it are whole."""
        current = self._current(session)
        begun = session.run(f"SHOW BINLOG EVENTS IN %s LIMIT {FIRST_EVENTS}", current)
        if any(event[2] == "Gtid" for event in begun):
            session.run("FLUSH BINARY LOGS")
            current = self._current(session)
        return current

    def _fetch(self, file: LogFile, spool: Path, into: Path) -> None:
        command = [
            *(self._program("mariadb-binlog"), *self._options(), "--read-from-remote-server"),
            *("--raw", f"--result-file={spool}/", file.name),
        ]
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=self._environment(),
                timeout=RECEIVE_TIMEOUT_SECONDS,
                check=False,
            )
            check("mariadb-binlog", done.returncode, said)
        fetched = spool / file.name
        if fetched.stat().st_size != file.size_bytes:
            raise CloudUnavailable(reason=f"{file.name} was not fetched whole")
        kept = into / f"{segment_of(file.number)}.age"
        draft = kept.with_name(f".{kept.name}.part")
        with fetched.open("rb") as plain, created(draft) as out:
            pyrage.encrypt_io(_Packed(plain), out, [self.recipient])
            on_disk(out)
        draft.replace(kept)
        names_on_disk(into)
        fetched.unlink()

    # --- the server -------------------------------------------------------------------------------

    def _program(self, name: str) -> str:
        return str(Path(self.host["service_tools"]) / name)

    def _options(self) -> list[str]:
        """They read no file; the password is in no command line."""
        host = self.host
        return [
            *("--no-defaults", "--protocol=tcp", f"--host={host['service_address']}"),
            *(f"--port={host['service_port']}", f"--user={host['service_admin_user']}"),
            *(f"--ssl-ca={host['service_ca_file']}", "--ssl-verify-server-cert"),
        ]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "MYSQL_PWD": self._password()}

    def _password(self) -> str:
        if "service_admin_password" in self.host:
            return str(self.host["service_admin_password"])
        file = Path(self.host["service_admin_password_file"])
        return file.read_text(encoding="utf-8").strip()

    @contextmanager
    def _connect(self) -> Iterator[_Session]:
        connection = pymysql.connect(
            host=self.host["service_address"],
            port=int(self.host["service_port"]),
            user=self.host["service_admin_user"],
            password=self._password(),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=2 * SILENCE_SECONDS,
            ssl_ca=self.host["service_ca_file"],
            ssl_verify_cert=True,
            ssl_verify_identity=True,
            program_name="egov log archive",
        )
        try:
            session = _Session(connection)
            session.run(
                "SET SESSION time_zone = '+00:00', max_statement_time = 0, "
                f"wait_timeout = {BASE_TIMEOUT_SECONDS}, lock_wait_timeout = {SILENCE_SECONDS}"
            )
            yield session
        finally:
            connection.close()

    @staticmethod
    def _current(session: _Session) -> str:
        return str(session.one("SHOW MASTER STATUS"))

    @staticmethod
    def _now(session: _Session) -> datetime:
        now: datetime = session.one("SELECT NOW(6)")
        return now.replace(tzinfo=UTC)


class _Session:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return list(cursor.fetchall())

    def one(self, text: str) -> Any:
        return self.run(text)[0][0]


class _Packed:
    """A stream as gzip packs it; `head` is how it began."""

    def __init__(self, source: IO[bytes]) -> None:
        self.head = b""
        self._source, self._packer = source, zlib.compressobj(1, wbits=GZIP)
        self._ready, self._is_over = bytearray(), False

    def read(self, size: int = -1) -> bytes:
        while not self._is_over and (size < 0 or len(self._ready) < size):
            block = self._source.read(HEAD_BYTES)
            self.head = self.head or block
            self._ready += self._packer.compress(block) if block else self._packer.flush()
            self._is_over = not block
        size = len(self._ready) if size < 0 else size
        given, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return given


def number_of(name: str) -> int:
    """Of a file of the log. Errors: CloudRefused."""
    found = NUMBER.search(name)
    if found is None:
        raise CloudRefused(reason=f"{name!r} is no file of a binary log")
    return int(found[1])


def segment_of(number: int) -> str:
    """Under which it is kept, in the same order as by its number."""
    return f"{number:024X}"
