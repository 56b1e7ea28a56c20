"""Runs tools inside the data plane's namespace, and ends processes without hitting a stranger's."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from lab.openstack.dataplane.layout import Layout
from lab.tool import ToolError, run

# TASK_COMM_LEN without its closing zero.
COMM_LENGTH = 15


def succeeds(argv: Sequence[str | Path], *, timeout_s: float = 60) -> bool:
    """Whether the tool leaves with status 0."""
    try:
        run(argv, timeout_s=timeout_s)
    except ToolError:
        return False
    return True


def inside(layout: Layout, argv: Sequence[str | Path]) -> list[str | Path]:
    """The same command, run in the data plane's network namespace."""
    return ["nsenter", f"--net={layout.namespace_file}", *argv]


def namespace_id(layout: Layout) -> str | None:
    """The kernel's name of our network namespace (`net:[inode]`), None while there is none.

    A plain file stands on the root file system's device; a bound namespace on nsfs.
    """
    try:
        bound = layout.namespace_file.stat()
        if bound.st_dev == layout.folder.stat().st_dev:
            return None
    except FileNotFoundError:
        return None
    return f"net:[{bound.st_ino}]"


def pids_inside(layout: Layout) -> list[int]:
    """Every process of our network namespace, by the kernel's account rather than pid files."""
    wanted = namespace_id(layout)
    if wanted is None:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str((entry / "ns" / "net").readlink()) == wanted:
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def pid_from(layout: Layout, pid_file: Path) -> int | None:
    """The pid in `pid_file` if that process lives in our namespace, else None.

    A pid alone would be reused by a stranger; one inside our namespace is ours.
    """
    try:
        pid = int(pid_file.read_text())
        lives_in = str(Path(f"/proc/{pid}/ns/net").readlink())
        return pid if lives_in == namespace_id(layout) else None
    except (OSError, ValueError):
        return None


def programs_running() -> set[str]:
    """The kernel's short names (at most COMM_LENGTH characters) of every live process."""
    names = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _alive(int(entry.name)):
            with contextlib.suppress(OSError):
                names.add((entry / "comm").read_text().strip())
    return names


def end_processes(pids: Sequence[int], *, grace_s: float = 5) -> None:
    """Ask processes to end, and kill after `grace_s` seconds those that did not."""
    for pid in pids:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in pids:
        if _alive(pid):
            _signal(pid, signal.SIGKILL)
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline + 5:
        time.sleep(0.05)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    """A zombie has ended: only its parent's bookkeeping is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
