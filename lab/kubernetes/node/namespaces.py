"""The node's namespaces: started, looked into, entered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.kubernetes.inside.facts import Facts
from lab.kubernetes.inside.first import DEATHS_FILE, PROGRAMS
from lab.kubernetes.launcher import describe_death
from lab.kubernetes.node.commands import run as run_tool
from lab.kubernetes.paths import Paths
from lab.settings import CHECKOUT

DAEMONS = tuple(PROGRAMS)
FIRST = "lab.kubernetes.inside.first"
BEGIN_LIMIT_S = 10.0


def start(paths: Paths, facts: Facts, environment: Mapping[str, str]) -> int:
    """Makes the namespaces with their first process and returns its pid; all ends with it.

    Raises LabError if they cannot be made.
    """
    file = paths.node / "facts.json"
    facts.write(file)
    log = paths.log("node")
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    # The gateway's way back to this machine's loopback.
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        with log.open("wb") as out:
            holder = subprocess.Popen(
                [
                    *("unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork"),
                    *("--kill-child", "--mount-proc", "--propagation=private"),
                    *(sys.executable, "-m", FIRST, str(file), str(outside)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(outside,),
                cwd="/",
                umask=0o022,
                env={**environment, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
            )
    finally:
        os.close(outside)
    pid = _child(holder)
    if pid is None:
        raise LabError(describe_death(paths, "node"))
    processes.note(pid, paths.pid("node"))
    return pid


def _child(holder: subprocess.Popen[bytes]) -> int | None:
    """The first process of the namespaces as this machine counts; None if it did not come."""
    deadline = time.monotonic() + BEGIN_LIMIT_S
    while holder.poll() is None and time.monotonic() < deadline:
        if children := _children(holder.pid):
            return children[0]
        time.sleep(0.02)
    return None


def run(pid: int, argv: Sequence[str | Path]) -> str:
    """Runs a program that sees the node's mounts. Raises LabError."""
    return run_tool(["nsenter", f"--target={pid}", "--mount", *argv])


def succeeds(pid: int, argv: Sequence[str | Path]) -> bool:
    """Whether that program leaves with status 0."""
    try:
        run(pid, argv)
    except LabError:
        return False
    return True


def daemons(pid: int) -> dict[str, int]:
    """Pids, as this machine counts, of the node's programs below its first process."""
    found = {}
    for child in _children(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        for name, mark in PROGRAMS.items():
            if any(word == mark or word.endswith(f"/{mark}") for word in words[:3]):
                found[name] = child
    return found


def deaths(paths: Paths) -> dict[str, int]:
    """How often each program has died and was started again."""
    try:
        found: dict[str, int] = json.loads((paths.node / DEATHS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def rss_mib(pid: int | None) -> int:
    """Resident memory of a process; 0 for none."""
    return 0 if pid is None else processes.Process(pid, 0).rss_mib()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]
