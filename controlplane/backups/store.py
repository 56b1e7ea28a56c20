"""The backup store: a folder, on a disk or a mounted share of its own, one file an archive."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Room:
    """Of the disk that the store lies on."""

    total_bytes: int
    free_bytes: int

    @property
    def free_percent(self) -> float:
        return 100 * self.free_bytes / self.total_bytes if self.total_bytes else 0.0


class BackupStore:
    """`folder` is made at first use; archives are named by their path below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, location: str) -> Path:
        return self.folder / location

    def size(self, location: str) -> int | None:
        """Bytes of an archive; None where there is none."""
        try:
            return self.path(location).stat().st_size
        except OSError:
            return None

    def remove(self, location: str) -> None:
        """The archive is gone from the disk afterwards, drafts of it too, whether it was there or
        not. Errors: OSError."""
        path = self.path(location)
        for draft in path.parent.glob(f".{path.name}.*.part"):
            draft.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def room(self) -> Room:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usage = shutil.disk_usage(self.folder)
        return Room(usage.total, usage.free)
