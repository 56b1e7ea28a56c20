"""The sample application of the second story, as a department would upload it."""

from __future__ import annotations

from pathlib import Path

from controlplane.uploads.archives import check_archive
from controlplane.uploads.rules import Limits
from lab.city import application
from lab.city.findings import last_words
from lab.openstack.paths import Paths

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


def test_a_story_without_an_end_is_told_with_the_last_words_of_those_who_had_a_part(
    tmp_path: Path,
) -> None:
    openstack = Paths(tmp_path / "lab", tmp_path / "state", tmp_path / "cache")
    for file, text in {
        tmp_path / "jobs" / "J-1" / "artifacts" / "1" / "stdout": "ok: [localhost]\n\nPLAY RECAP\n",
        tmp_path / "serve.log": "serving\n",
        openstack.data("nova") / "instances" / "m" / "console.log": "a\nb\nc\nLAB-GUEST-READY\n",
        openstack.oslo_log("nova"): "10:00 INFO fine\n10:01 ERROR no host\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert last_words(tmp_path, openstack) == [
        "run: ok: [localhost]",
        "run: PLAY RECAP",
        "console: b",
        "console: c",
        "console: LAB-GUEST-READY",
        "nova: 10:01 ERROR no host",
        "control plane: serving",
    ]
