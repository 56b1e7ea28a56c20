"""Runs the machine's command-line tools."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


class ToolError(LabError):
    """A tool of the machine could not do a step: says which, and what it answered."""


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> str:
    """Run a tool to its end and return what it printed.

    `env` is added to the present environment. Raises ToolError when the tool is missing, takes
    longer than `timeout_s` seconds or, with `check`, leaves with a status other than 0.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except FileNotFoundError as missing:
        raise ToolError(f"{words[0]} is not installed") from missing
    except subprocess.TimeoutExpired as late:
        raise ToolError(f"`{' '.join(words)}` took over {timeout_s:.0f} s") from late
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise ToolError(
            f"`{' '.join(words)}` failed with status {done.returncode}: {' / '.join(said)}"
        )
    return done.stdout
