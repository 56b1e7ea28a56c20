"""Ends this process when the launcher that waits for it dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Without it, databases half-made by a killed launcher's child would be made on, under the
    hands of the next launcher."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:  # it died before the line above
        sys.exit("the launcher is gone")
