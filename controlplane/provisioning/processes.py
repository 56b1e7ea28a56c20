"""Processes of playbook runs: each carries the name of its run in its environment.

ansible-runner starts ansible-playbook in a session of its own, and that starts modules in others;
none of them ends with a killed worker. Neither a parent nor a process group leads to all of them,
and the id of one may have been given to a stranger meanwhile: what they inherit always does.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_VARIABLE = "EGOV_PLAYBOOK_RUN"
_TERM_SECONDS = 3.0
_KILL_SECONDS = 10.0


def run_environment(run: Path) -> dict[str, str]:
    """What the processes of a run are to inherit; `run` is a folder of its own."""
    return {_VARIABLE: str(run)}


def end_processes(runs: Path) -> bool:
    """Ends whatever belongs to the run `runs`, or to a run below that folder.

    SIGTERM, then SIGKILL to what is left; returns whether there was something.
    """
    found = bool(_processes_of(runs))
    for signum, seconds in ((signal.SIGTERM, _TERM_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        # A process may start another while it is being ended: look until none is left.
        while (left := _processes_of(runs)) and time.monotonic() < deadline:
            for pid in left - told:
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)
            told |= left
            time.sleep(0.05)
    return found


def _processes_of(runs: Path) -> set[int]:
    """Their ids. A zombie has no environment any more, and does not count."""
    wanted = f"{_VARIABLE}={runs}".encode()
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):
                for entry in (process / "environ").read_bytes().split(b"\0"):
                    if entry == wanted or entry.startswith(wanted + b"/"):
                        found.add(int(process.name))
    return found
