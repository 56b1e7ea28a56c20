"""A department's databases of a MariaDB as they were at a moment: their dumps loaded into a server on this host, and the server's
archived log applied to them, by the server's own replication and for these databases only.

It listens on a socket in a folder of its own only, and nobody but us gets in.
"""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, ClassVar

import pymysql
import pyrage
from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    ArchiveError,
    check_program,
    restore_archive,
)
from ansible_collections.egov.databases.plugins.plugin_utils.binary_logs import UntilMoment
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import (
    Anonymous,
    loading,
    make_anew,
)
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    Session,
    account,
    connected,
    drop,
    make_account,
    pattern,
)
from ansible_collections.egov.databases.plugins.plugin_utils.moment_folders import (
    Scratch,
    scratch_for,
)

#: Log that is applied without an end in sight; the job's own limit comes first where it is shorter.
REPLAY_PATIENCE_S = 3600
START_PATIENCE_S = 60
LOOK_EVERY_S = 0.1
ADMIN = "egov"
#: No account of a department's has such a name.
LOADER = "egov-loader"
GZIP = 31
#: Where a file of the log has its first event.
BEGINNING = 4
#: What belongs to a database: a restore or an exchange moves tables out of one into another.
PARTS = ("", "_restoring", "_exchange")
#: What the log says of accounts, which are not here, and of routines and events in databases that are not: what it says of tables
#: elsewhere, the filter leaves out by itself.
OF_OTHERS = "1049,1133,1141,1147,1269,1305,1396,1403,1539,1959"

#: What makes the system tables, in this order; `mariadb-install-db` does the same.
SYSTEM_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mysql_sys_schema.sql",
)
BEFORE = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
AFTER = """
DELETE FROM mysql.global_priv WHERE User IN ('root', '');
DELETE FROM mysql.proxies_priv;
FLUSH PRIVILEGES;
CREATE USER '{admin}'@'localhost' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO '{admin}'@'localhost' WITH GRANT OPTION;
"""
#: Said of a view over another one.
NO_DEFINER = re.compile(r"specified as a definer \('(?P<name>.*?)'@'.*?'\) does not exist")
#: Those in whose name something is done: without them it could not be read.
DEFINERS = """
SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s UNION
SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s UNION
SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s UNION
SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s
"""


class Past(MariaServer):
    """The server of a moment; `address` is its socket."""

    ACCOUNTS_NEED: ClassVar[str] = ""

    @contextmanager
    def connect(self, database: str | None = None) -> Iterator[Session]:
        with connected(self, database, unix_socket=self.address) as session:
            yield session

    def options(self) -> list[str]:
        return [
            *("--no-defaults", "--protocol=socket", f"--socket={self.address}"),
            *(f"--user={self.user}", "--default-character-set=utf8mb4"),
        ]


@dataclass(frozen=True, order=True)
class Place:
    """In the log: a file by its number, and where in it."""

    number: int
    position: int

    @property
    def file(self) -> str:
        return f"relay.{self.number:06d}"


@contextmanager
def server_at(server: MariaServer, past: Mapping[str, Any], job_number: str) -> Iterator[Past]:
    """`past`: moment (ISO 8601), databases, base (the folder of their dumps), first_segment and wal (the log since), identity (opens
    both). Errors: ArchiveError."""
    with scratch_for(job_number, ("socket", "relay", "tmp", "nothing")) as scratch:
        names = [f"{name}{part}" for name in past["databases"] for part in PARTS]
        starts = {name: _start_of(past, name) for name in names}
        end = _log_written(scratch, past, min(start.number for start in starts.values()))
        program, password = _program(server), secrets.token_hex(16)
        _bootstrap(scratch, program, password)
        process = scratch.start([*program, *_settings(scratch), *_how_it_replays(scratch)])
        made = Past(str(scratch / "socket" / "s"), 0, "", server.tools, ADMIN, password)
        try:
            _await(made, process, scratch)
            for name in names:
                _load(made, past, name)
            _replay(made, starts, end)
            _after(made, names)
            yield made
        finally:
            process.send_signal(signal.SIGKILL)  # nothing of it is kept
            process.wait()


def second_of(moment: str) -> datetime:
    """The log tells the seconds: what was written before this one is there."""
    return datetime.fromisoformat(moment).replace(microsecond=0)


# --- the server -------------------------------------------------------------------------------------


def _program(server: MariaServer) -> list[str]:
    """The server itself; what it reads lies as Debian has it, beside the folder of the program."""
    folder = server.log_tools or server.tools
    if not (folder / "mariadbd").exists():
        folder = folder.parent / "sbin"
    program, share = str(folder / "mariadbd"), folder.parent / "share" / "mysql"
    check_program(program)
    return [
        *(program, "--no-defaults", f"--lc-messages-dir={share}"),
        f"--character-sets-dir={share / 'charsets'}",
    ]


def _settings(scratch: Scratch) -> list[str]:
    """Nobody is served but us, and nothing has to outlive a power cut."""
    return [
        *(f"--datadir={scratch / 'data'}", f"--tmpdir={scratch / 'tmp'}"),
        *("--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"),
        *("--innodb-buffer-pool-size=128M", "--innodb-log-file-size=64M"),
        *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci"),
        *("--performance-schema=OFF", "--default-time-zone=+00:00", "--max-allowed-packet=1G"),
    ]


def _how_it_replays(scratch: Scratch) -> list[str]:
    return [
        *("--skip-networking", f"--socket={scratch / 'socket' / 's'}", "--pid-file=mariadbd.pid"),
        *("--event-scheduler=OFF", "--local-infile=OFF"),
        f"--secure-file-priv={scratch / 'nothing'}",
        *("--server-id=4294967295", "--replicate-same-server-id", "--skip-slave-start"),
        *(f"--relay-log={scratch / 'relay' / 'relay'}", "--skip-relay-log-purge"),
        *(f"--slave-skip-errors={OF_OTHERS}", "--slave-max-allowed-packet=1G"),
    ]


def _bootstrap(scratch: Scratch, program: Sequence[str], password: str) -> None:
    share = Path(program[0]).parent.parent / "share" / "mysql"
    try:
        tables = [(share / name).read_text(encoding="utf-8") for name in SYSTEM_TABLES]
    except OSError as error:
        raise ArchiveError(f"this host has no {error.filename}: {error.strerror}") from error
    text = "".join([BEFORE, *tables, AFTER.format(admin=ADMIN, password=password)])
    command = [*program, *_settings(scratch), "--bootstrap", "--enforce-storage-engine="]
    process = scratch.start(command, stdin=subprocess.PIPE)
    process.communicate(text.encode())
    if process.returncode:
        raise ArchiveError(f"the server of that moment could not be made: {_said(scratch)}")


def _await(made: Past, process: subprocess.Popen[bytes], scratch: Scratch) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while True:
        try:
            with made.connect():
                return
        except pymysql.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ArchiveError(
                    f"the server of that moment did not come up: {_said(scratch)}"
                ) from None
            time.sleep(LOOK_EVERY_S)


def _said(scratch: Scratch) -> str:
    lines = (scratch / "log").read_text(errors="replace").strip().splitlines()
    return " ".join([line for line in lines if "ERROR" in line] or lines[-2:])[-600:]


# --- its data ---------------------------------------------------------------------------------------


def _dumped(past: Mapping[str, Any], database: str) -> Path:
    return Path(past["base"]) / f"{database}.age"


def _start_of(past: Mapping[str, Any], database: str) -> Place:
    """From where on the log is to be applied: what was not there as the base was taken came to be in the log."""
    noted = _dumped(past, database).with_suffix(".json")
    if not noted.exists():
        return Place(int(past["first_segment"], 16), BEGINNING)
    told = json.loads(noted.read_text(encoding="utf-8"))
    return Place(int(told["segment"], 16), int(told["position"]))


def _load(made: Past, past: Mapping[str, Any], database: str) -> None:
    file = _dumped(past, database)
    if not file.exists():
        return
    like = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    password = secrets.token_urlsafe(24)
    make_account(made, LOADER, password)
    make_anew(made, database, LOADER, like)
    by = made.as_account(LOADER, password)
    base = {"path": file, "identity": past["identity"], "number": file.stem}
    restore_archive(
        base,
        loading(by, database),
        by.environment(),
        lambda into: Unpacked(Anonymous(into, database)),
    )
    drop(made, [], [LOADER])


class Unpacked:
    """Passes on what was packed by gzip."""

    def __init__(self, into: Any) -> None:
        self._into, self._unpacker = into, zlib.decompressobj(wbits=GZIP)

    def write(self, block: bytes) -> int:
        try:
            self._into.write(self._unpacker.decompress(bytes(block)))
        except zlib.error as error:
            raise ArchiveError(f"what was archived is damaged ({error})") from error
        return len(block)

    def flush(self) -> None:
        self._into.flush()

    def close(self) -> None:
        if not self._unpacker.eof:
            raise ArchiveError("what was archived is damaged (it has no end)")
        self._into.close()


# --- its log ----------------------------------------------------------------------------------------


def _log_written(scratch: Scratch, past: Mapping[str, Any], first: int) -> Place:
    """Puts the log up to the moment where the server reads what it is to apply; where it ends."""
    until, names = second_of(past["moment"]).timestamp(), []
    numbers = [int(file.stem, 16) for file in Path(past["wal"]).glob("*.age")]
    if max(numbers, default=0) < first:
        return Place(first, 0)  # it is closed, and fetched, as soon as there is something in it
    for number in sorted(n for n in numbers if n >= first):
        if names and number != _next(names[-1]):
            raise ArchiveError(f"the archived log has no file number {_next(names[-1])}")
        file = scratch / "relay" / Place(number, 0).file
        with file.open("wb") as out:
            cut = UntilMoment(out, until)
            _open(Path(past["wal"]) / f"{number:024X}.age", past["identity"], cut)
        scratch.give(file)
        names.append(file)
        if cut.is_reached:
            break
    if not names or names[0].name != Place(first, 0).file:
        raise ArchiveError(f"the archived log has no file number {first}")
    index = scratch / "relay" / "relay.index"
    index.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
    scratch.give(index)
    return Place(_number(names[-1]), names[-1].stat().st_size)


def _number(file: Path) -> int:
    return int(file.suffix[1:])


def _next(file: Path) -> int:
    return _number(file) + 1


def _open(archived: Path, identity: str, into: IO[bytes] | UntilMoment) -> None:
    try:
        unpacked = Unpacked(into)
        with archived.open("rb") as file:
            pyrage.decrypt_io(file, unpacked, [pyrage.x25519.Identity.from_str(identity)])
        unpacked.close()
    except (pyrage.DecryptError, ArchiveError, OSError) as error:
        raise ArchiveError(f"the archived log {archived.stem} is damaged ({error})") from error


def _replay(made: Past, starts: Mapping[str, Place], end: Place) -> None:
    """Each database from where its dump ends, and all of them to the end: none has its own log twice."""
    steps = sorted({start for start in starts.values() if start < end})
    if not steps:
        return  # nothing was written since
    with made.connect() as session:
        session.run(
            "CHANGE MASTER TO MASTER_HOST = 'nowhere', MASTER_USER = 'nobody', MASTER_USE_GTID = no, "
            f"RELAY_LOG_FILE = '{steps[0].file}', RELAY_LOG_POS = {steps[0].position}"
        )
        for step, until in zip(steps, [*steps[1:], None], strict=True):
            names = [name for name, start in starts.items() if start <= step]
            _apply(session, names, until, end)


def _apply(session: Session, databases: Collection[str], until: Place | None, end: Place) -> None:
    """Up to `until`, or all of it. Errors: ArchiveError."""
    only = ",".join(_wild(name) for name in databases)
    session.run("SET GLOBAL replicate_wild_do_table = %s", only)
    start = "START SLAVE SQL_THREAD"
    if until is not None:
        start += f" UNTIL RELAY_LOG_FILE = '{until.file}', RELAY_LOG_POS = {until.position}"
    deadline, made = time.monotonic() + REPLAY_PATIENCE_S, set[tuple[str, Place]]()
    session.run(start)
    while True:
        state = session.described("SHOW SLAVE STATUS")
        reached = Place(int(state["Relay_Log_File"].rpartition(".")[2]), state["Relay_Log_Pos"])
        if state["Last_SQL_Errno"] and state["Slave_SQL_Running"] == "No":
            definer = NO_DEFINER.search(state["Last_SQL_Error"])
            if definer is None or (definer["name"], reached) in made:
                raise ArchiveError(f"the archived log cannot be applied: {state['Last_SQL_Error']}")
            made.add((definer["name"], reached))
            _make_definer(session, definer["name"], databases)
            session.run(start)
        elif _is_done(state, until, reached, end):
            break
        if time.monotonic() > deadline:
            raise ArchiveError(f"the archived log was not applied within {REPLAY_PATIENCE_S} s")
        time.sleep(LOOK_EVERY_S)
    session.run("STOP SLAVE SQL_THREAD")


def _is_done(state: Mapping[str, Any], until: Place | None, reached: Place, end: Place) -> bool:
    if until is not None:
        return state["Slave_SQL_Running"] == "No"
    is_waiting = "read all relay log" in (state["Slave_SQL_Running_State"] or "")
    return is_waiting and reached.number >= end.number


def _wild(database: str) -> str:
    escaped = re.sub(r"([_%\\])", r"\\\1", database)
    return f"{escaped}.%"


def _after(made: Past, databases: Iterable[str]) -> None:
    """What can be read only with those in whose name it is, and events, which replication puts to sleep."""
    with made.connect() as session:
        session.run("UPDATE mysql.event SET status = 'ENABLED' WHERE status = 'SLAVESIDE_DISABLED'")
        for database in databases:
            for definer in session.names(DEFINERS, *[database] * 4):
                _make_definer(session, definer.rpartition("@")[0], [database])


def _make_definer(session: Session, name: str, databases: Iterable[str]) -> None:
    """Departments' accounts come from everywhere."""
    session.run(f"CREATE USER IF NOT EXISTS {account(name)} ACCOUNT LOCK")
    for database in databases:
        session.run(f"GRANT ALL ON {pattern(database)}.* TO {account(name)}")
