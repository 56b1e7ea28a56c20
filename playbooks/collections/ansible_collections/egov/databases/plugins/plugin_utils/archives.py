"""Archives in the backup store: encrypted as they are written, whole or not there, proven before use.

An archive is a file of the age format (v1). It has its own key, so that what is wiped is one backup's, and an archive
that is put in the place of another does not open.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyrage

BLOCK_BYTES = 1 << 20
#: How much is written between two looks at the room that is left.
LOOK_EVERY_BYTES = 32 << 20
MIB = 1 << 20

IsOver = Callable[[], bool]


class ArchiveError(Exception):
    """In one readable sentence: what is wrong with an archive or with making it."""


@dataclass(frozen=True)
class Written:
    """What became of an archive: `sha256` is that of the encrypted file."""

    size_bytes: int
    sha256: str


class _Store:
    """A file being written: counted, summed up, and stopped before the disk is full."""

    def __init__(self, file: IO[bytes], folder: Path, reserve_bytes: int) -> None:
        self.file, self.folder, self.reserve_bytes = file, folder, reserve_bytes
        self.size_bytes, self.error = 0, ""
        self._sum, self._look_at = hashlib.sha256(), 0

    def write(self, block: bytes) -> int:
        try:
            if self.size_bytes >= self._look_at:
                self._look_at = self.size_bytes + LOOK_EVERY_BYTES
                self._check_room()
            self.file.write(block)
        except OSError as error:
            # The encrypting library would tell it in words of its own.
            self.error = (
                self.error or f"the backup store cannot be written: {error.strerror or error}"
            )
            raise
        self._sum.update(block)
        self.size_bytes += len(block)
        return len(block)

    def flush(self) -> None:
        self.file.flush()

    @property
    def written(self) -> Written:
        return Written(self.size_bytes, self._sum.hexdigest())

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < self.reserve_bytes:
            self.error = (
                f"the backup store has {free // MIB} MiB free and keeps {self.reserve_bytes // MIB} MiB in reserve: "
                "make room, or give it a larger disk"
            )
            raise OSError(self.error)


def write_archive(
    path: Path,
    recipient: str,
    dump: Sequence[str],
    environment: Mapping[str, str],
    reserve_bytes: int,
    begun: Callable[[IsOver], None] = lambda _: None,
) -> Written:
    """Runs `dump`, encrypts what it writes and puts it at `path`: whole, on disk, or not at all. `begun` is called once
    the program runs and before it is listened to, with a question whether it has ended.

    Errors: ArchiveError with the program's own last words, or what the disk said.
    """
    check_program(dump[0])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_drafts(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _create(draft) as file, tempfile.TemporaryFile() as said:
            store = _Store(file, path.parent, reserve_bytes)
            _encrypt(dump, environment, recipient, store, said, begun)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ArchiveError(
            f"the backup store cannot be written: {error.strerror or error}"
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    return store.written


def check_program(program: str) -> None:
    """Errors: ArchiveError where this host has not got it."""
    if not os.access(program, os.X_OK):
        raise ArchiveError(
            f"this host has no program {program}: install the engine's client programs, or name "
            "their folder in the inventory"
        )


def _create(draft: Path) -> IO[bytes]:
    return os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _encrypt(
    dump: Sequence[str],
    environment: Mapping[str, str],
    recipient: str,
    store: _Store,
    said: IO[bytes],
    begun: Callable[[IsOver], None],
) -> None:
    program = Path(dump[0]).name
    with subprocess.Popen(
        dump,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        env={**os.environ, **environment},
    ) as process:
        try:
            begun(lambda: process.poll() is not None)
            pyrage.encrypt_io(process.stdout, store, [pyrage.x25519.Recipient.from_str(recipient)])
        except (pyrage.EncryptError, pyrage.RecipientError, OSError) as error:
            process.kill()
            raise ArchiveError(
                store.error or f"{program} could not be encrypted: {error}"
            ) from error
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise ArchiveError(f"{program} failed: {last_words(said) or process.returncode}")


def remove_drafts(path: Path) -> None:
    """What a run that was ended half-way left of this archive."""
    for draft in path.parent.glob(f".{path.name}.*.part"):
        draft.unlink(missing_ok=True)


def prove_archive(archive: Mapping[str, Any]) -> None:
    """Reads the whole archive once, and is content only if it is the one that was taken and its key opens it to the
    very end. Errors: ArchiveError."""
    path, number = Path(archive["path"]), archive["number"]
    sum_, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                sum_.update(block)
                size += len(block)
    except OSError as error:
        raise ArchiveError(
            f"the archive of backup {number} cannot be read: {error.strerror}"
        ) from error
    if size != archive["size_bytes"] or sum_.hexdigest() != archive["sha256"]:
        raise ArchiveError(
            f"the archive of backup {number} is not the one that was taken: it has {size} bytes and another checksum "
            f"(expected {archive['size_bytes']} bytes); nothing was restored"
        )
    _decrypt(archive, _Nowhere())


def restore_archive(
    archive: Mapping[str, Any],
    command: Sequence[str],
    environment: Mapping[str, str],
    through: Callable[[Any], Any] = lambda into: into,
) -> None:
    """Decrypts a proven archive into the standard input of `command`, by way of what `through` makes of it (with `write`,
    `flush` and, at the very end, `close`). Errors: ArchiveError."""
    check_program(command[0])
    program = Path(command[0]).name
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, **environment},
        ) as process:
            trouble: Exception | None = None
            try:
                _decrypt(archive, into := through(process.stdin))
                into.close()
            except (ArchiveError, OSError) as error:
                # Or the program has ended before its input: its own words say more.
                trouble = error
                process.kill()
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        words = last_words(said)
    if process.returncode and words:
        raise ArchiveError(f"{program} failed: {words}")
    if trouble is not None:
        raise ArchiveError(str(trouble)) from trouble
    if process.returncode:
        raise ArchiveError(f"{program} ended with {process.returncode} and no word")


class _Nowhere:
    def write(self, block: bytes) -> int:
        return len(block)

    def flush(self) -> None:
        pass


def _decrypt(archive: Mapping[str, Any], into: Any) -> None:
    try:
        with Path(archive["path"]).open("rb") as file:
            pyrage.decrypt_io(file, into, [pyrage.x25519.Identity.from_str(archive["identity"])])
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        # Its header names another recipient, or is none at all.
        raise ArchiveError(
            f"the key of backup {archive['number']} does not open its archive ({error}); nothing was restored"
        ) from error
    except OSError as error:
        raise ArchiveError(
            f"the archive of backup {archive['number']} is damaged ({error}); nothing was restored"
        ) from error


def last_words(said: IO[bytes]) -> str:
    """The end of what a program wrote to its standard error."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 2000))
    lines = said.read().decode(errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[-600:]


def _sync_folder(folder: Path) -> None:
    """The new name itself survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
