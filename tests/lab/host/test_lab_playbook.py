"""The whole lab by its playbooks: it comes, comes again without a change, and is taken back.

One copy for the file, as root on Debian, with its state in a temporary folder and whatever the
machine can run behind its servers and pods; built programs come from the checkout's cache. Where
systemd is the first process the same playbook writes units, which this file then sees to as well.
Last, what an ordinary user gets.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.host import packages, picture
from lab.unprivileged import User
from tests.lab import cloud, pods

CHECKOUT = Path(__file__).resolve().parents[3]
PLAYBOOKS = CHECKOUT / "playbooks" / "lab"
RUN_LIMIT_S = 2400  # Kubernetes may have to be built
PARTS = {"openstack", "services", "kubernetes", "controlplane"}
#: Of no use to the lab and on no machine by itself: whether it comes and goes tells of the others.
SMALL_PACKAGE = "hello"
RECAP = re.compile(r"ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=0")


@dataclass
class Lab:
    """One copy of the lab, driven by its playbooks as `make` does, as `user`."""

    home: Path
    cache: Path = field(default_factory=pods.shared_cache)
    user: User = field(default_factory=User)
    #: Chosen once: while the lab runs its own ranges are not free any more.
    ranges: dict[str, str] = field(default_factory=lambda: cloud.free_ranges() | pods.free_ranges())

    @property
    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LAB_", "PYTEST"))}
        own = {"LAB_HOME": str(self.home / "lab"), "LAB_CACHE": str(self.cache)}
        tool = {
            "HOME": str(self.home),
            "ANSIBLE_REMOTE_TEMP": str(self.home / "ansible"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return inherited | own | tool | self.ranges

    def play(self, name: str, **variables: Any) -> str:
        """What the playbook told. Its run must not fail."""
        done = self._run(
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(PLAYBOOKS / "hosts.yml"), "-e", json.dumps(variables)),
            str(PLAYBOOKS / f"{name}.yml"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, dict[str, Any]]:
        """Its parts by name."""
        done = self._run(sys.executable, "-m", "lab.city", "status", "--json")
        return {part["name"]: part for part in json.loads(done.stdout)}

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_LIMIT_S,
            **self.user.popen_options(),
        )


def changes(told: str) -> int:
    """`changed=` of a playbook's last lines."""
    recap = RECAP.search(told)
    assert recap, told
    return int(recap[1])


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that were started with `folder`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line:
                found.append(line)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    assert packages.missing([SMALL_PACKAGE]), f"{SMALL_PACKAGE} is installed on this machine"
    return picture.picture()


@pytest.fixture(scope="module")
def wanted() -> list[str]:
    defaults = PLAYBOOKS / "roles" / "lab_host" / "defaults" / "main.yml"
    return [*yaml.safe_load(defaults.read_text())["lab_host_packages"], SMALL_PACKAGE]


@pytest.fixture(scope="module")
def lab(before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("whole"))
    try:
        yield lab
    finally:
        lab.play("clean")


def test_one_playbook_brings_up_everything(lab: Lab, wanted: list[str]) -> None:
    told = lab.play("site", lab_host_packages=wanted)
    assert changes(told) >= len(PARTS)
    assert "left out" not in told
    parts = lab.status()
    assert {name for name, part in parts.items() if part["ready"]} == PARTS
    assert "real machines" in parts["openstack"]["behind"], parts["openstack"]
    assert "pods run on a node" in parts["kubernetes"]["behind"]
    with urllib.request.urlopen(f"{parts['controlplane']['place']}/healthz", timeout=5) as answer:  # noqa: S310
        assert answer.status == 200
    assert not packages.missing([SMALL_PACKAGE])


def test_a_second_run_changes_nothing(lab: Lab, wanted: list[str]) -> None:
    assert changes(lab.play("site", lab_host_packages=wanted)) == 0


def test_a_part_that_was_stopped_is_all_that_a_run_starts(lab: Lab, wanted: list[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "lab.services", "stop", "redis"],
        cwd=CHECKOUT, env=lab.environment, check=True, capture_output=True,
    )  # fmt: skip
    assert not lab.status()["services"]["ready"]
    assert changes(lab.play("site", lab_host_packages=wanted)) == 1
    assert lab.status()["services"]["ready"]


def test_stopped_it_is_kept_and_stopped_again_nothing_happens(lab: Lab) -> None:
    assert changes(lab.play("stop")) == 1
    assert not any(part["ready"] for part in lab.status().values())
    assert changes(lab.play("stop")) == 0
    assert (lab.home / "controlplane").is_dir()


def test_clean_leaves_the_host_as_it_was_and_says_what_went(
    lab: Lab, before: dict[str, set[str]], wanted: list[str]
) -> None:
    lab.play("site", lab_host_packages=wanted)  # up again, so that there is something to take back
    told = " ".join(lab.play("clean").split())
    for what in ("programs", "links", "addresses", "routes", f"{SMALL_PACKAGE} ii"):
        assert what in told, told
    assert picture.differences(before, picture.picture()) == {}
    assert processes_of(lab.home) == []
    assert not (lab.home / "lab").exists()
    assert not (lab.home / "controlplane").exists()
    assert changes(lab.play("clean")) == 0


@pytest.fixture
def ordinary(before: dict[str, set[str]]) -> Iterator[Lab]:
    """A copy of an ordinary user, who reads this checkout and Kubernetes' programs."""
    entry = pwd.getpwnam("nobody")
    user = User(entry.pw_uid, entry.pw_gid)
    if not user.can_enter(CHECKOUT) or not user.can_run(Path(sys.executable)):
        pytest.skip(f"an ordinary user does not reach {CHECKOUT}")
    home = Path("/tmp") / f"lab-of-nobody-{os.getpid()}"
    cache = home / "cache"
    cache.mkdir(parents=True)
    (cache / "kubernetes").symlink_to(pods.shared_cache().resolve() / "kubernetes")
    for folder in (home, cache):
        user.give(folder)
    lab = Lab(home, cache, user)
    try:
        yield lab
        lab.play("clean")
        assert processes_of(home) == []
    finally:
        shutil.rmtree(home)


def test_an_ordinary_user_gets_what_needs_no_root_and_is_told_the_rest(
    ordinary: Lab, wanted: list[str]
) -> None:
    told = " ".join(ordinary.play("site", lab_host_packages=wanted).split())
    assert f"left out, packages: {SMALL_PACKAGE} (only root may install them)" in told
    assert "no machine behind a server (real machines need root)" in told
    assert "pods stay Pending (pods need root)" in told
    assert all(part["ready"] for part in ordinary.status().values())
    assert changes(ordinary.play("site", lab_host_packages=wanted)) == 0
