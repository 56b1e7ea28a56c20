"""The sample application of the second story, as a department would upload it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from controlplane.uploads.archives import check_archive
from controlplane.uploads.rules import Limits
from lab import settings
from lab.city import application, containers
from lab.city.findings import last_words
from lab.errors import LabError
from lab.openstack.paths import Paths
from lab.progress import Progress

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


class Cluster:
    """Stands where `make run` builds and starts Kubernetes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, built: bool, trouble: str = "") -> None:
        self.done: list[str] = []
        self.trouble = trouble
        monkeypatch.setattr(containers.builds, "are_built", lambda *_: built)
        monkeypatch.setattr(containers.cluster, "build", self._build)
        monkeypatch.setattr(containers.cluster, "start", self._start)

    def _build(self, *_: object) -> str:
        self.done.append("build")
        if self.trouble:
            raise LabError(self.trouble)
        return "real"

    def _start(self, *_: object) -> SimpleNamespace:
        self.done.append("start")
        return SimpleNamespace(pods="real", reason="")


def told(monkeypatch: pytest.MonkeyPatch, uid: int, cluster: Cluster) -> tuple[bool, str]:
    """Whether there are pods for the second story, and what was said."""
    monkeypatch.setattr(containers.os, "geteuid", lambda: uid)
    console = Console(file=io.StringIO(), width=200)
    found = containers.Containers(settings.load(environment={}), Progress(console), console)
    found.begin()
    found.finish()
    assert not found.is_building
    assert isinstance(console.file, io.StringIO)
    return found.has_pods, console.file.getvalue()


@pytest.mark.parametrize(
    ("built", "uid", "trouble", "done", "has_pods", "says"),
    [
        (True, 0, "", ["start"], True, ""),
        (False, 0, "", ["build", "start"], True, "Kubernetes is built meanwhile"),
        (False, 0, "no space", ["build"], False, "no space"),
        (False, 1000, "", [], False, "pods need root"),
    ],
)
def test_kubernetes_is_started_or_built_first_or_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    built: bool,
    uid: int,
    trouble: str,
    done: list[str],
    has_pods: bool,
    says: str,
) -> None:
    cluster = Cluster(monkeypatch, built=built, trouble=trouble)
    found, said = told(monkeypatch, uid, cluster)
    assert (cluster.done, found) == (done, has_pods)
    assert says in said
