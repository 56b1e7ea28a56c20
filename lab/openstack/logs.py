"""What a service said last, for people who would rather not open its log."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 200_000
# oslo.log: "2026-11-24 05:00:00.000 1234 ERROR nova.cmd [...] text"; Python: "ValueError: text".
OSLO_ERROR = re.compile(r"^\d{4}-\d\d-\d\d \S+ \d+ (ERROR|CRITICAL) (?P<text>.*\S)")
PYTHON_ERROR = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Exit|Fault|Interrupt|[a-z]): \S")


def last_error(*files: Path) -> str:
    """The last line that tells of an error, looking through `files` in order."""
    for file in files:
        for line in reversed(_tail(file)):
            if found := OSLO_ERROR.match(line):
                return found["text"][:400]
            if PYTHON_ERROR.match(line):
                return line.strip()[:400]
    for file in files:
        if lines := [line for line in _tail(file) if line.strip()]:
            return f"none; it ends with: {lines[-1].strip()[:300]}"
    return "none; the log is empty"


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
