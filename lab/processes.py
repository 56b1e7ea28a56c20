"""Detached processes: found again by pid and start time, measured, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process as it was when it was noted; a reused pid has another start time."""

    pid: int
    started_ticks: int

    def alive(self) -> bool:
        """Whether that very process still runs (a zombie does not)."""
        return _stat(self.pid) == ("alive", self.started_ticks)

    def reap(self) -> None:
        """Where it is dead and a child of ours, its number is given back: a server that finds that
        number in its lock file takes whoever has it for alive."""
        if _stat(self.pid) == ("gone", self.started_ticks):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)

    def rss_mib(self) -> int:
        """Resident memory, MiB; 0 when it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return 0
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
        return 0

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless the process is gone."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def end_all(processes: Iterable[Process], grace_s: float) -> None:
    """SIGTERM to all, SIGKILL to those that are left after `grace_s` seconds; waits for the end."""
    left = list(processes)
    for process in left:
        process.signal(signal.SIGTERM)
    kill_at = time.monotonic() + grace_s
    while left := [process for process in left if process.alive()]:
        if time.monotonic() > kill_at:
            for process in left:
                process.signal(signal.SIGKILL)
        time.sleep(0.05)


def note(pid: int, file: Path) -> Process:
    """Writes down process `pid` in `file` and returns it."""
    process = Process(pid, _stat(pid)[1])
    file.write_text(json.dumps(process.__dict__), encoding="ascii")
    return process


def noted(file: Path) -> Process | None:
    """The process written down in `file`, alive or not; None if there is no such note."""
    try:
        return Process(**json.loads(file.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def _stat(pid: int) -> tuple[str, int]:
    """("alive" or "gone", start time in clock ticks after boot)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "gone", 0
    after_name = text.rpartition(")")[2].split()
    return ("gone" if after_name[0] in "ZX" else "alive"), int(after_name[19])
