"""What drivers that archive a server's log share: files whole or not there, programs that end."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from controlplane.errors import CloudRefused

CONNECT_TIMEOUT_SECONDS = 5
RECEIVE_TIMEOUT_SECONDS = 600
BASE_TIMEOUT_SECONDS = 4 * 3600


@dataclass(frozen=True)
class BaseTaken:
    """`lacks`: what is not in it, and why."""

    first_segment: str
    ended_at: datetime
    lacks: str = ""


@contextmanager
def ended_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def created(draft: Path) -> IO[bytes]:
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def on_disk(file: IO[bytes]) -> None:
    """What was written outlives a power cut."""
    file.flush()
    os.fsync(file.fileno())


def names_on_disk(folder: Path) -> None:
    """So do the names in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(program: str, status: int, said: IO[bytes]) -> None:
    """Errors: CloudRefused with the program's own words."""
    if status == 0:
        return
    said.seek(0)
    words = " ".join(said.read().decode(errors="replace").split())[-500:]
    raise CloudRefused(reason=f"{program} failed: {words or status}")
