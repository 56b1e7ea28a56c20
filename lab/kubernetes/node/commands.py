"""Runs this machine's command-line tools and says what failed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

TIMEOUT_S = 120.0


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> str:
    """Runs a tool to its end and returns what it printed.

    Raises LabError when it is missing, takes too long, or, with `check`, fails.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=dict(env) if env is not None else {**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
        )
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{' '.join(words)}` took over {TIMEOUT_S:.0f} s") from late
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise LabError(
            f"`{' '.join(words)}` failed with status {done.returncode}: {' / '.join(said)}"
        )
    return done.stdout
