"""Reads an archive to its end without unpacking it anywhere: every header, every byte counted."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controlplane.errors import Fault
from controlplane.uploads.rules import Limits, Member, member_faults, top_folder

CHUNK_BYTES = 256 * 1024
#: A tar archive's own headers and padding, beside what is in it.
TAR_OVERHEAD_BYTES = 1024
GZIP_MAGIC, ZIP_MAGICS = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")
DAMAGED = (
    *(tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error),
    *(EOFError, ValueError, NotImplementedError, RuntimeError, UnicodeError, OverflowError),
)


@dataclass(frozen=True)
class Checked:
    """`format`: tar.gz or zip. `root`: the one folder that all files lie in, or nothing."""

    format: str
    unpacked_bytes: int
    members: int
    root: str


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _TooMuchError(Exception):
    """More comes out than the limit allows, whatever the headers say."""


def check_archive(path: Path, limits: Limits) -> tuple[Checked | None, list[Fault]]:
    """What is in the archive, or everything wrong with it."""
    with path.open("rb") as file:
        magic = file.read(4)
    archive_format = _format_of(magic)
    if not archive_format:
        return None, [Fault("upload_not_archive")]
    read = _tar_members if archive_format == "tar.gz" else _zip_members
    members: list[Member] = []

    def noted() -> Iterator[Member]:
        for member in read(path, limits):
            members.append(member)
            yield member

    try:
        faults = member_faults(noted(), limits)
    except _TooMuchError:
        limit = limits.unpacked_bytes // 2**20
        return None, [Fault("upload_unpacked_too_large", "", {"limit": limit})]
    except DAMAGED:
        return None, [Fault("upload_damaged")]
    if faults:
        return None, faults
    root = top_folder(m.name for m in members if m.kind == "file")
    return Checked(archive_format, sum(m.size for m in members), len(members), root), []


def _format_of(magic: bytes) -> str:
    if magic.startswith(GZIP_MAGIC):
        return "tar.gz"
    return "zip" if magic in ZIP_MAGICS else ""


class _Bounded:
    """Reads on until the limit, and not a byte further."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int = -1) -> bytes:
        wanted = CHUNK_BYTES if size < 0 else size
        data = self._stream.read(min(wanted, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _TooMuchError
        return data


def _tar_members(path: Path, limits: Limits) -> Iterator[Member]:
    bound = limits.unpacked_bytes + limits.members * TAR_OVERHEAD_BYTES
    with gzip.open(path) as stream:
        bounded = _Bounded(stream, bound)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
            for info in archive:
                yield Member(info.name, _tar_kind(info), info.size)
        while bounded.read(CHUNK_BYTES):  # its checksum stands at the very end
            pass


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    return "link" if info.issym() or info.islnk() else "special"


def _zip_members(path: Path, limits: Limits) -> Iterator[Member]:
    """Headers of a zip archive can lie: each member is read to its end, its checksum compared."""
    left = limits.unpacked_bytes
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            member = _zip_member(info)
            if member.kind == "file" and not member.is_encrypted:
                with archive.open(info) as stream:
                    bounded = _Bounded(stream, left)
                    while data := bounded.read(CHUNK_BYTES):
                        left -= len(data)
            yield member


def _zip_member(info: zipfile.ZipInfo) -> Member:
    file_type = (info.external_attr >> 16) & 0o170000
    kind = "folder" if info.is_dir() else "file"
    if file_type == 0o120000:
        kind = "link"
    elif file_type not in (0, 0o100000, 0o040000):
        kind = "special"
    # The name as it stands in the archive: the library cuts it at a zero byte.
    return Member(info.orig_filename, kind, info.file_size, bool(info.flag_bits & 0x1))
