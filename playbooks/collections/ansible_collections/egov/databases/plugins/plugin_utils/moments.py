"""A PostgreSQL as it was at a moment: its base backup and its archived log, replayed on this host.

It listens on a socket in a folder of its own only, and nobody but us gets in.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyrage
from ansible_collections.egov.databases.plugins.plugin_utils.archives import (
    ArchiveError,
    check_program,
    restore_archive,
)
from ansible_collections.egov.databases.plugins.plugin_utils.moment_folders import (
    Scratch,
    scratch_for,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import OWN_SETTINGS, Server

#: Log that is replayed without an end in sight; the job's own limit comes first where it is shorter.
REPLAY_PATIENCE_S = 3600

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
    with scratch_for(job_number, ("want", "have", "none", "socket")) as scratch:
        _unpack(past, scratch)
        _configure(scratch.folder, past["moment"])
        with _Feeder(scratch, Path(past["wal"]), past["identity"]) as feeder:
            process = _start(server, scratch)
            made = Past(str(scratch / "socket"), 5432, "", server.tools, server.user, "")
            try:
                _await(made, process, scratch.folder, feeder)
                yield made
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()


def _unpack(past: Mapping[str, Any], scratch: Scratch) -> None:
    base = {"path": past["base"], "identity": past["identity"], "number": Path(past["base"]).stem}
    tar, setpriv = shutil.which("tar") or "tar", shutil.which("setpriv") or "setpriv"
    command = [tar, "--extract", "--gzip", "--no-same-owner", f"--directory={scratch / 'data'}"]
    if (user := scratch.user) is not None:
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


def _start(server: Server, scratch: Scratch) -> subprocess.Popen[bytes]:
    program = str((server.log_tools or server.tools) / "postgres")
    check_program(program)
    configuration = f"config_file={scratch / 'server.conf'}"
    return scratch.start([program, "-D", str(scratch / "data"), "-c", configuration])


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

    def __init__(self, scratch: Scratch, wal: Path, identity: str) -> None:
        self.scratch, self.wal = scratch, wal
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
        self.scratch.give(draft)
        draft.replace(path)
