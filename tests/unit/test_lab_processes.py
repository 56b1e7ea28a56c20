"""Detached processes of the lab: alive, dead, and dead but not yet taken leave of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import processes


def test_a_child_that_was_killed_gives_its_number_back(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    noted = processes.note(child.pid, tmp_path / "pid")
    noted.reap()
    assert noted.alive(), "whoever lives is left alone"
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.kill(child.pid, 0)  # a zombie has its number still
    noted.reap()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    noted.reap()
    child.wait()
