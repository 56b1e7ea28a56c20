"""Where a server of a moment lies while it is replayed: a folder of its own that nobody else can read, gone with its server when
what was wanted has been taken out, or with the next run where this one was killed.

Servers refuse to run as root: started by root they run as `nobody`.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNPRIVILEGED = "nobody"
PREFIX = "egov-moment-"
#: Below the folder of the data: the process's number stands in its first line.
PID_FILES = ("postmaster.pid", "mariadbd.pid")


@dataclass(frozen=True)
class Scratch:
    """`user` is whom its server runs as, None for who we are."""

    folder: Path
    user: pwd.struct_passwd | None

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def give(self, path: Path) -> None:
        """The server may read and write it."""
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def start(self, command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
        """As its user, with its words in the file `log`."""
        who: dict[str, Any] = {}
        if self.user is not None:
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with (self / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **how},
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"},
                **who,
            )


@contextmanager
def scratch_for(job_number: str, folders: Sequence[str]) -> Iterator[Scratch]:
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{job_number}"
    for left in folder.parent.glob(f"{PREFIX}*"):
        _remove_abandoned(left)
    scratch = Scratch(folder, pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None)
    for name in ("", "data", *folders):
        (scratch / name).mkdir(mode=0o700)
        scratch.give(scratch / name)
    mark = (scratch / "in_use").open("w")
    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield scratch
    finally:
        _remove(folder)
        mark.close()


def _remove_abandoned(folder: Path) -> None:
    """What a run that was ended half-way left, whichever it was: it holds a department's data."""
    try:
        with (folder / "in_use").open("r+") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)
    except BlockingIOError:
        return  # somebody is at work there
    except OSError:
        _remove(folder)


def _remove(folder: Path) -> None:
    """The folder and, where it still runs, its server."""
    data = folder / "data"
    for name in PID_FILES:
        with suppress(OSError, ValueError, IndexError):
            pid = int((data / name).read_text().splitlines()[0])
            if Path(f"/proc/{pid}/cwd").resolve() == data.resolve():
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
