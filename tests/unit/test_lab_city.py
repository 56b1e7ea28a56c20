"""The sample application of the second story, as a department would upload it."""

from __future__ import annotations

from pathlib import Path

from controlplane.uploads.archives import check_archive
from controlplane.uploads.rules import Limits
from lab.city import application

LIMITS = Limits(archive_bytes=2**20, unpacked_bytes=2**20, members=50)


def test_the_sample_application_is_an_upload_that_is_taken(tmp_path: Path) -> None:
    file = tmp_path / application.ARCHIVE
    file.write_bytes(application.archive())
    checked, faults = check_archive(file, LIMITS)
    assert faults == []
    assert checked is not None
    assert (checked.format, checked.root) == ("tar.gz", "")


def test_it_is_packed_the_same_each_time() -> None:
    assert application.archive() == application.archive()
