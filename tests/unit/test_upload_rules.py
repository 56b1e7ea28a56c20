"""What may be in an uploaded archive: by its members, and by real archives of every bad kind."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.uploads.archives import check_archive
from controlplane.uploads.rules import FAULTS_MAX, Limits, Member, member_faults, top_folder

LIMITS = Limits(archive_bytes=2**20, unpacked_bytes=2**20, members=50)
PAGE = ("site/index.html", b"<p>")


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (Member("a/b.txt", "file", 1), ""),
        (Member("./网站/首页.html", "file", 1), ""),
        (Member("a..b/..c", "file", 1), ""),
        (Member("../a", "file", 1), "upload_outside"),
        (Member("a/../../b", "file", 1), "upload_outside"),
        (Member("a/..", "folder"), "upload_outside"),
        (Member("/etc/passwd", "file", 1), "upload_outside"),
        (Member("c:/a", "file", 1), "upload_outside"),
        (Member("..\\a", "file", 1), "upload_bad_name"),
        (Member("a\x00b", "file", 1), "upload_bad_name"),
        (Member("a\nb", "file", 1), "upload_bad_name"),
        (Member("", "file", 1), "upload_bad_name"),
        (Member("长" * 86, "file", 1), "upload_bad_name"),
        (Member("a/" * 600 + "b", "file", 1), "upload_bad_name"),
        (Member("a", "link"), "upload_link"),
        (Member("a", "special"), "upload_special"),
        (Member("a", "file", 1, is_encrypted=True), "upload_encrypted"),
        (Member("a", "file", 2**20), ""),
        (Member("a", "file", 2**20 + 1), "upload_unpacked_too_large"),
        (Member("a", "folder"), "upload_empty"),
        (Member(".", "file", 1), "upload_twice"),
    ],
)
def test_a_member(member: Member, code: str) -> None:
    assert [f.code for f in member_faults([member], LIMITS)] == ([code] if code else [])


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        (["a", "./a"], ["upload_twice"]),
        (["a", "a/b"], ["upload_twice"]),
        (["a/b", "a"], []),
        (["../a", "b", "/c"], ["upload_outside", "upload_outside"]),
        ([], ["upload_empty"]),
        ([f"f{i}" for i in range(51)], ["upload_too_many"]),
        (["../x"] * 30, ["upload_outside"] * FAULTS_MAX),
    ],
)
def test_members_together(names: list[str], codes: list[str]) -> None:
    faults = member_faults([Member(name, "file", 1) for name in names], LIMITS)
    assert [fault.code for fault in faults] == codes


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (["site/index.html", "site/a/b.css"], "site"),
        (["./site/index.html"], "site"),
        (["site/index.html", "README"], ""),
        (["index.html"], ""),
        (["a/x", "b/x"], ""),
        ([], ""),
    ],
)
def test_the_one_top_folder(names: list[str], root: str) -> None:
    assert top_folder(names) == root


# --- real archives ------------------------------------------------------------------------------


def tar_gz(*infos: tarfile.TarInfo, files: tuple[tuple[str, bytes], ...] = (PAGE,)) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in infos:
            archive.addfile(info)
    return out.getvalue()


def tar_info(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries or (PAGE,):
            archive.writestr(name, content)
    return out.getvalue()


def zip_link() -> bytes:
    info = zipfile.ZipInfo("a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((info, b"/etc/passwd"))


def lying_zip() -> bytes:
    """Says of a member of 3 MiB that it has 10 bytes."""
    content = zipped(("a", b"\0" * (3 * 2**20)))
    return content.replace((3 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little"))


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "upload_not_archive"),
    "a page": (lambda: b"<!doctype html>", "upload_not_archive"),
    "a tar without gzip": (lambda: gzip.decompress(tar_gz()), "upload_not_archive"),
    "gzip of something else": (lambda: gzip.compress(b"no tar" * 999), "upload_damaged"),
    "a tar cut short": (lambda: tar_gz()[:-20], "upload_damaged"),
    "a zip cut short": (lambda: zipped()[:-20], "upload_damaged"),
    "a tar whose checksum is wrong": (lambda: tar_gz()[:-8] + b"\0" * 8, "upload_damaged"),
    "a zip that lies": (lying_zip, "upload_damaged"),
    "a tar's way out": (lambda: tar_gz(files=(("../../etc/cron.d/x", b"x"),)), "upload_outside"),
    "a zip's way out": (lambda: zipped(("../x", b"x")), "upload_outside"),
    "a symbolic link": (
        lambda: tar_gz(tar_info("a", tarfile.SYMTYPE, "/etc/passwd")),
        "upload_link",
    ),
    "a hard link": (lambda: tar_gz(tar_info("a", tarfile.LNKTYPE, PAGE[0])), "upload_link"),
    "a zip's link": (zip_link, "upload_link"),
    "a device": (lambda: tar_gz(tar_info("a", tarfile.CHRTYPE)), "upload_special"),
    "a pipe": (lambda: tar_gz(tar_info("a", tarfile.FIFOTYPE)), "upload_special"),
    "a bomb in a tar": (
        lambda: tar_gz(files=(("a", b"\0" * (3 * 2**20)),)),
        "upload_unpacked_too_large",
    ),
    "a bomb in a zip": (
        lambda: zipped(("a", b"\0" * (3 * 2**20))),
        "upload_unpacked_too_large",
    ),
    "a bomb behind the end of a tar": (
        lambda: gzip.compress(gzip.decompress(tar_gz()) + b"\0" * (3 * 2**20)),
        "upload_unpacked_too_large",
    ),
    "folders alone": (
        lambda: tar_gz(tar_info("a", tarfile.DIRTYPE), files=()),
        "upload_empty",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_archive_is_refused_with_its_reason(kind: str, tmp_path: Path) -> None:
    make, code = BAD[kind]
    path = tmp_path / "archive"
    path.write_bytes(make())
    checked, faults = check_archive(path, LIMITS)
    assert checked is None
    assert [fault.code for fault in faults] == [code]


@pytest.mark.parametrize(("content", "kind"), [(tar_gz(), "tar.gz"), (zipped(), "zip")])
def test_a_good_archive(content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(content)
    checked, faults = check_archive(path, LIMITS)
    assert faults == []
    assert checked is not None
    assert (checked.format, checked.unpacked_bytes, checked.members) == (kind, 3, 1)
    assert checked.root == "site"
