"""The lab's own folder in every cgroup hierarchy; all pods' cgroups lie below it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
REMOVAL_LIMIT_S = 5.0


def make(name: str) -> None:
    """Makes the folder in version 2's one hierarchy, or in each of version 1's."""
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
    for file in ("cpuset.cpus", "cpuset.mems"):  # version 1: a new cpuset starts empty
        source = ROOT / "cpuset" / file
        if source.exists():
            (ROOT / "cpuset" / name / file).write_text(source.read_text())


def remove(name: str) -> None:
    """Removes the folders with all below; waits for processes that are still ending."""
    deadline = time.monotonic() + REMOVAL_LIMIT_S
    for top in (hierarchy / name for hierarchy in hierarchies()):
        while not _removed(top) and time.monotonic() < deadline:
            time.sleep(0.05)


def _removed(top: Path) -> bool:
    if top.exists():
        folders = sorted((d for d in top.rglob("*") if d.is_dir()), key=_depth, reverse=True)
        for folder in (*folders, top):
            with contextlib.suppress(OSError):  # a process in it is still ending
                folder.rmdir()
    return not top.exists()


def hierarchies() -> list[Path]:
    """The mounted hierarchies of this machine."""
    found = [ROOT, *ROOT.iterdir()] if ROOT.exists() else []
    mounted = [folder for folder in found if (folder / "cgroup.procs").exists()]
    # Version 2 keeps its children in the root itself.
    return mounted[:1] if ROOT in mounted else mounted


def _depth(folder: Path) -> int:
    return len(folder.parts)
