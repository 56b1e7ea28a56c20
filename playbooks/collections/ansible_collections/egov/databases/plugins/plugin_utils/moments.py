"""A PostgreSQL as it was at a moment: its base backup and its archived log, replayed on this host.

It listens on a socket in a folder of its own only, nobody but us gets in, and it is gone with the folder when
what was wanted has been taken out. PostgreSQL refuses to run as root: started by root it runs as `nobody`.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pyrage
from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    ArchiveError,
    check_program,
    restore_archive,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import OWN_SETTINGS, Server

#: Log that is replayed without an end in sight; the job's own limit comes first where it is shorter.
REPLAY_PATIENCE_S = 3600
UNPRIVILEGED = "nobody"
PREFIX = "egov-moment-"

#: Asked by the recovering server for each piece of its log: `%f` its name, `%p` where it shall lie.
FETCH = """#!/bin/sh
touch "{scratch}/want/$1"
until [ -e "{scratch}/have/$1" ] || [ -e "{scratch}/none/$1" ]; do sleep 0.02; done
[ -e "{scratch}/have/$1" ] && mv "{scratch}/have/$1" "$2"
"""

CONFIGURATION = """listen_addresses = ''
unix_socket_directories = '{scratch}/socket'
hba_file = '{scratch}/pg_hba.conf'
ident_file = '{scratch}/pg_ident.conf'
ssl = off
hot_standby = off
archive_mode = off
max_wal_senders = 0
fsync = off
full_page_writes = off
jit = off
timezone = 'UTC'
restore_command = 'sh {scratch}/fetch %f "%p"'
recovery_target_time = '{moment}'
recovery_target_timeline = 'current'
recovery_target_action = 'promote'
"""


class Past(Server):
    """The server of a moment; `address` is the folder of its socket."""

    @contextmanager
    def connect(
        self, database: str = "postgres", *, autocommit: bool = True
    ) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            host=self.address,
            dbname=database,
            user=self.user,
            options=OWN_SETTINGS,
            autocommit=autocommit,
        ) as connection:
            yield connection

    def environment(self, database: str) -> dict[str, str]:
        return {
            "PGHOST": self.address,
            "PGDATABASE": database,
            "PGUSER": self.user,
            "PGOPTIONS": OWN_SETTINGS,
        }


@contextmanager
def server_at(server: Server, past: Mapping[str, Any], job_number: str) -> Iterator[Past]:
    """`past`: moment (ISO 8601), base and wal (where they lie), identity (opens both). Errors: ArchiveError."""
    scratch = Path(tempfile.gettempdir()) / f"{PREFIX}{job_number}"
    for left in scratch.parent.glob(f"{PREFIX}*"):
        _remove_abandoned(left)
    user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
    for folder in ("", "want", "have", "none", "socket", "data"):
        path = scratch / folder
        path.mkdir(mode=0o700)
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid)
    mark = (scratch / "in_use").open("w")
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        _unpack(past, scratch / "data", user)
        _configure(scratch, past["moment"])
        with _Feeder(scratch, Path(past["wal"]), past["identity"], user) as feeder:
            process = _start(server, scratch, user)
            made = Past(str(scratch / "socket"), 5432, "", server.tools, server.user, "")
            try:
                _await(made, process, scratch, feeder)
                yield made
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()
    finally:
        _remove(scratch)
        mark.close()


def _unpack(past: Mapping[str, Any], data: Path, user: pwd.struct_passwd | None) -> None:
    base = {"path": past["base"], "identity": past["identity"], "number": Path(past["base"]).stem}
    tar, setpriv = shutil.which("tar") or "tar", shutil.which("setpriv") or "setpriv"
    command = [tar, "--extract", "--gzip", "--no-same-owner", f"--directory={data}"]
    if user is not None:
        command = [
            *(setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
            *command,
        ]
    restore_archive(base, command, {})


def _configure(scratch: Path, moment: str) -> None:
    data = scratch / "data"
    (scratch / "fetch").write_text(FETCH.format(scratch=scratch))
    (scratch / "server.conf").write_text(CONFIGURATION.format(scratch=scratch, moment=moment))
    (scratch / "pg_hba.conf").write_text("local all all trust\n")
    (scratch / "pg_ident.conf").write_text("")
    # What was set on the server itself is not for this one.
    (data / "postgresql.auto.conf").unlink(missing_ok=True)
    (data / "recovery.signal").touch()


def _start(
    server: Server, scratch: Path, user: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    program = str((server.log_tools or server.tools) / "postgres")
    check_program(program)
    as_user: dict[str, Any] = {}
    if user is not None:
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    with (scratch / "log").open("wb") as log:
        return subprocess.Popen(
            [program, "-D", str(scratch / "data"), "-c", f"config_file={scratch}/server.conf"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=scratch,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
            **as_user,
        )


def _await(made: Past, process: subprocess.Popen[bytes], scratch: Path, feeder: _Feeder) -> None:
    """Until it has reached its moment and takes connections."""
    deadline = time.monotonic() + REPLAY_PATIENCE_S
    while True:
        try:
            with made.connect():
                return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                said = (scratch / "log").read_text(errors="replace").strip().splitlines()
                words = [line for line in said if "FATAL" in line or "ERROR" in line] or said[-2:]
                reason = feeder.error or " ".join(words)[-600:]
                raise ArchiveError(f"the server of that moment did not come up: {reason}") from None
            time.sleep(0.1)


class _Feeder:
    """Gives the recovering server the pieces of log that it asks for, opened."""

    def __init__(
        self, scratch: Path, wal: Path, identity: str, user: pwd.struct_passwd | None
    ) -> None:
        self.scratch, self.wal, self.user = scratch, wal, user
        self.error = ""
        self._identity = pyrage.x25519.Identity.from_str(identity)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> _Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _feed(self) -> None:
        while not self._stopping.is_set():
            for wanted in (self.scratch / "want").iterdir():
                wanted.unlink()
                self._give(wanted.name)
            self._stopping.wait(0.02)

    def _give(self, name: str) -> None:
        archived = self.wal / f"{name}.age"
        try:
            content = archived.read_bytes()
        except FileNotFoundError:
            self._made(self.scratch / "none" / name, b"")
            return
        try:
            opened = zlib.decompress(pyrage.decrypt(content, [self._identity]))
        except (pyrage.DecryptError, zlib.error) as error:
            self.error = f"the archived log {name} is damaged ({error})"
            self._made(self.scratch / "none" / name, b"")
            return
        self._made(self.scratch / "have" / name, opened)

    def _made(self, path: Path, content: bytes) -> None:
        draft = self.scratch / f".{path.name}"
        draft.write_bytes(content)
        if self.user is not None:
            os.chown(draft, self.user.pw_uid, self.user.pw_gid)
        draft.replace(path)


def _remove_abandoned(scratch: Path) -> None:
    """What a run that was ended half-way left, whichever it was: it holds a department's data."""
    try:
        with (scratch / "in_use").open("r+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(scratch)
    except BlockingIOError:
        return  # somebody is at work there
    except OSError:
        _remove(scratch)


def _remove(scratch: Path) -> None:
    """The folder and, where it still runs, its server."""
    with suppress(OSError, ValueError, IndexError):
        pid = int((scratch / "data" / "postmaster.pid").read_text().splitlines()[0])
        if Path(f"/proc/{pid}/cwd").resolve() == (scratch / "data").resolve():
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(scratch, ignore_errors=True)
