"""Archives of backups: whole or not there, refused before anything is restored from them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils import archives
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import differences

CONTENT = b"PGDMP" + bytes(range(256)) * 4096
DUMP = "import sys; sys.stdout.buffer.write(b'PGDMP' + bytes(range(256)) * 4096)"
BROKEN = f"{DUMP}; sys.exit('pg_dump: error: server closed the connection unexpectedly')"
MIB = 1 << 20


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def written(
    path: Path, identity: pyrage.x25519.Identity, program: str = DUMP, reserve_bytes: int = 0
) -> archives.Written:
    command = [sys.executable, "-c", program]
    return archives.write_archive(path, str(identity.to_public()), command, {}, reserve_bytes)


def told(path: Path, made: archives.Written, identity: pyrage.x25519.Identity) -> dict[str, Any]:
    """What a play that restores is given."""
    return {
        "number": "B-20261124-0001",
        "path": str(path),
        "identity": str(identity),
        "size_bytes": made.size_bytes,
        "sha256": made.sha256,
    }


def everything_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_an_archive_is_an_age_file_that_its_key_opens(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    path = tmp_path / "civil-affairs" / "B-1.age"
    made = written(path, identity)
    content = path.read_bytes()
    assert (made.size_bytes, made.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert content.startswith(b"age-encryption.org/v1")
    assert b"PGDMP" not in content
    assert pyrage.decrypt(content, [identity]) == CONTENT
    assert path.stat().st_mode & 0o077 == 0
    assert everything_in(tmp_path) == ["B-1.age"]
    archives.prove_archive(told(path, made, identity))


@pytest.mark.parametrize(
    ("program", "reserve_bytes", "words"),
    [
        (BROKEN, 0, "server closed the connection unexpectedly"),
        ("import sys; sys.exit(3)", 0, "failed: 3"),
        (DUMP, 1 << 60, "make room"),
    ],
)
def test_a_broken_dump_or_a_full_store_leaves_nothing(
    tmp_path: Path,
    identity: pyrage.x25519.Identity,
    program: str,
    reserve_bytes: int,
    words: str,
) -> None:
    with pytest.raises(archives.ArchiveError, match=words):
        written(tmp_path / "B-1.age", identity, program, reserve_bytes)
    assert everything_in(tmp_path) == []


def test_a_disk_that_fills_up_while_writing_says_so(
    tmp_path: Path, identity: pyrage.x25519.Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, file: Any) -> None:
            self.file, self.left = file, MIB // 2

        def write(self, block: bytes) -> int:
            self.left -= len(block)
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return int(self.file.write(block))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    create: Callable[[Path], Any] = archives._create
    monkeypatch.setattr(archives, "_create", lambda draft: Full(create(draft)))
    with pytest.raises(archives.ArchiveError, match="No space left on device"):
        written(tmp_path / "B-1.age", identity)
    assert everything_in(tmp_path) == []


def test_what_a_killed_run_left_goes_with_the_next_try(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    (tmp_path / ".B-1.age.4711.part").write_bytes(b"half")
    written(tmp_path / "B-1.age", identity)
    assert everything_in(tmp_path) == ["B-1.age"]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda content: content[:-1], "not the one that was taken"),
        (lambda content: content[:9000] + b"\0" + content[9001:], "not the one that was taken"),
        (lambda _: b"PGDMP", "not the one that was taken"),
        (lambda _: None, "cannot be read"),
    ],
    ids=["cut", "flipped", "foreign", "missing"],
)
def test_an_archive_that_is_not_the_one_taken_is_refused(
    tmp_path: Path,
    identity: pyrage.x25519.Identity,
    break_it: Callable[[bytes], bytes | None],
    words: str,
) -> None:
    path = tmp_path / "B-1.age"
    made = written(path, identity)
    broken = break_it(path.read_bytes())
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    with pytest.raises(archives.ArchiveError, match=words):
        archives.prove_archive(told(path, made, identity))


def test_another_s_archive_under_the_right_checksum_does_not_open(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    stranger = pyrage.x25519.Identity.generate()
    made = written(tmp_path / "B-1.age", stranger)
    given = told(tmp_path / "B-1.age", made, identity)
    with pytest.raises(archives.ArchiveError, match="does not open its archive") as refused:
        archives.prove_archive(given)
    assert str(identity) not in str(refused.value)


def test_what_the_restoring_program_says_is_what_is_told(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    made = written(tmp_path / "B-1.age", identity)
    given = told(tmp_path / "B-1.age", made, identity)
    early = [sys.executable, "-c", "import sys; sys.exit('relation exists already')"]
    with pytest.raises(archives.ArchiveError, match="relation exists already"):
        archives.restore_archive(given, early, {})
    out = tmp_path / "out"
    copy = f"import sys; open({str(out)!r}, 'wb').write(sys.stdin.buffer.read())"
    archives.restore_archive(given, [sys.executable, "-c", copy], {})
    assert out.read_bytes() == CONTENT


def table(rows: int, checksum: str = "7") -> dict[str, Any]:
    return {"rows": rows, "checksum": checksum}


@pytest.mark.parametrize(
    ("found", "told_of"),
    [
        ({"tables": {"public.a": table(3)}, "objects": {"views": 1}}, []),
        ({"tables": {"public.a": table(2)}, "objects": {"views": 1}}, ["2 rows, not 3"]),
        ({"tables": {"public.a": table(3, "8")}, "objects": {"views": 1}}, ["other rows"]),
        ({"tables": {}, "objects": {"views": 1}}, ["public.a is missing"]),
        (
            {"tables": {"public.a": table(3), "public.b": table(0)}, "objects": {}},
            ["public.b is new", "0 views, not 1"],
        ),
    ],
)
def test_every_difference_from_the_manifest_is_named(
    found: dict[str, Any], told_of: list[str]
) -> None:
    manifest = {"tables": {"public.a": table(3)}, "objects": {"views": 1}}
    different = differences(manifest, found)
    assert len(different) == len(told_of)
    assert all(words in said for words, said in zip(told_of, different, strict=True))


def test_a_program_that_is_not_there_is_named_and_nothing_is_written(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    path, program = tmp_path / "B-1.age", str(tmp_path / "pg_dump")
    with pytest.raises(archives.ArchiveError, match=f"no program {program}"):
        archives.write_archive(path, str(identity.to_public()), [program], {}, 0)
    assert everything_in(tmp_path) == []
