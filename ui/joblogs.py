"""A job's log as coloured lines, read from what the playbook runner writes as it goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from controlplane.provisioning.models import Job
from controlplane.provisioning.runner import log_path

LINES_MAX = 5000

# ANSI colours as Ansible uses them -> classes of journey.css.
COLOURS = {
    "32": "log-ok",
    "33": "log-changed",
    "31": "log-bad",
    "36": "log-dim",
    "35": "log-changed",
    "34": "log-dim",
    "30": "log-dim",
    "90": "log-dim",
}
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")
OTHER_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-ln-z]|[@-Z\\-_])")
HEADINGS = ("TASK [", "PLAY [", "PLAY RECAP", "RUNNING HANDLER [")


@dataclass(frozen=True)
class LogLine:
    """One line, its number from 1, and its parts as (css class or "", text)."""

    number: int
    parts: list[tuple[str, str]]


def log_file(jobs_dir: Path, job: Job) -> Path:
    """Where the log of the job's present try stands, whether or not it exists yet."""
    return log_path(jobs_dir / job.number, job.attempt)


def read_lines(path: Path, after: int = 0) -> list[LogLine]:
    """The complete lines behind line `after`; none when there is no log yet.

    A line still being written is left for the next time.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = text.split("\n")[:-1]
    first = max(after, len(lines) - LINES_MAX)
    return [LogLine(number, parts(line)) for number, line in enumerate(lines[first:], first + 1)]


def parts(line: str) -> list[tuple[str, str]]:
    """A line with ANSI colours as coloured parts; a task's heading as one."""
    line = OTHER_ESCAPES.sub("", line.rstrip("\r"))
    if line.startswith(HEADINGS):
        return [("log-head", ESCAPE.sub("", line).rstrip("*").rstrip())]
    found: list[tuple[str, str]] = []
    colour, position = "", 0
    for escape in ESCAPE.finditer(line):
        if escape.start() > position:
            found.append((colour, line[position : escape.start()]))
        colour = _colour(escape.group(1), colour)
        position = escape.end()
    if position < len(line):
        found.append((colour, line[position:]))
    return found


def _colour(codes: str, present: str) -> str:
    for code in codes.split(";"):
        if code in ("", "0", "39"):
            present = ""
        elif code in COLOURS:
            present = COLOURS[code]
    return present
