"""Who the lab's services run as, and which folders that user can reach."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError


@dataclass(frozen=True)
class User:
    """A user to run processes as; None in both fields means: as the caller."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> dict[str, Any]:
        """Options for subprocess: no group of the caller is kept."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Makes this user the owner of `path`."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid if self.gid is not None else -1)

    def can_run(self, program: Path) -> bool:
        """Whether the user reaches and may execute `program` (one below /root: usually not)."""
        if self.uid is None:
            return os.access(program, os.X_OK)
        return self._test("-x", program)

    def can_enter(self, folder: Path) -> bool:
        """Whether the user reaches `folder`, which exists, and may enter it."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        return self._test("-x", folder)

    def _test(self, flag: str, path: Path) -> bool:
        command = ["/usr/bin/test", flag, str(path)]
        done = subprocess.run(command, check=False, cwd="/", **self.popen_options())
        return done.returncode == 0


def as_root_or(name: str, *, needs_root: bool) -> User:
    """The user for services: the caller, unless the caller is root without need.

    Raises LabError if root is needed and missing, or the user `name` does not exist.
    """
    if os.geteuid() != 0:
        if needs_root:
            raise LabError("the real data plane needs root; use LAB_DATA_PLANE=none without it")
        return User()
    if needs_root:
        return User()
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise LabError(
            f"user {name} (unprivileged_user in lab/settings.toml) does not exist"
        ) from None
    return User(entry.pw_uid, entry.pw_gid)
