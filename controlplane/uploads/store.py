"""The store of uploads: a folder, one file a content, named by its checksum."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 256 * 1024
DRAFT_PREFIX = ".new-"
DRAFT_MAX_AGE_S = 24 * 3600


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class TooLargeError(Exception):
    """More came than the limit."""


class NoRoomError(Exception):
    """The disk would be left with less than its reserve."""


@dataclass(frozen=True)
class Draft:
    """What has come in, not yet kept."""

    path: Path
    sha256: str
    size_bytes: int


class UploadStore:
    """`folder` is made at first use: in production a share that every worker mounts."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        self.folder = folder
        self._reserve_bytes = reserve_bytes

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    @contextmanager
    def take_in(self, stream: Readable, limit_bytes: int) -> Iterator[Draft]:
        """What the stream gives, in a draft that is gone afterwards unless it was kept.

        Errors: TooLargeError, NoRoomError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free - limit_bytes < self._reserve_bytes:
            raise NoRoomError
        path = self.folder / f"{DRAFT_PREFIX}{secrets.token_hex(8)}"
        try:
            yield self._write(stream, path, limit_bytes)
        finally:
            path.unlink(missing_ok=True)

    @staticmethod
    def _write(stream: Readable, path: Path, limit_bytes: int) -> Draft:
        digest, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            path.chmod(0o600)
            while chunk := stream.read(CHUNK_BYTES):
                size += len(chunk)
                if size > limit_bytes:
                    raise TooLargeError
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return Draft(path, digest.hexdigest(), size)

    def keep(self, draft: Draft) -> None:
        """The draft under its name, whole or not at all; the same content again changes nothing."""
        kept = self.path(draft.sha256)
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.path.replace(kept)

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def remove_old_drafts(self) -> None:
        """What a process that was killed had begun to take in, once it is a day old."""
        for draft in self.folder.glob(f"{DRAFT_PREFIX}*"):
            with suppress(FileNotFoundError):  # its process has just ended well
                if time.time() - draft.stat().st_mtime > DRAFT_MAX_AGE_S:
                    draft.unlink()
