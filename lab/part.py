"""What the parts of the lab have in common: one of their programs as it is now, and their turns."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab import processes
from lab.errors import LabError

State = Literal["ready", "starting", "died", "stopped"]


@dataclass(frozen=True)
class ServiceStatus:
    """One program as it is now; `died`: it was started and is gone without a stop."""

    name: str
    state: State
    pid: int | None
    rss_mib: int
    endpoint: str
    log: str
    fault: str


def service_status(
    name: str,
    pid_file: Path,
    *,
    is_ready: Callable[[], bool],
    describe_death: Callable[[], str],
    endpoint: str,
    log: Path,
) -> ServiceStatus:
    """Looks at the process noted in `pid_file`; asks `is_ready` only of one that is alive."""
    process = processes.noted(pid_file)
    state: State
    if process is None:
        state = "stopped"
    elif not process.alive():
        state = "died"
    else:
        state = "ready" if is_ready() else "starting"
    alive = process if state in ("ready", "starting") else None
    return ServiceStatus(
        name=name,
        state=state,
        pid=alive.pid if alive else None,
        rss_mib=alive.rss_mib() if alive else 0,
        endpoint=endpoint,
        log=str(log),
        fault=describe_death() if state == "died" else "",
    )


@contextlib.contextmanager
def turn(home: Path, lock: Path) -> Iterator[None]:
    """One start, stop or reset at a time. Raises LabError if the home is another user's."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = lock.open("a")
    except PermissionError as error:
        raise LabError(
            f"{home} belongs to another user: run this as that user, or set LAB_HOME"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
