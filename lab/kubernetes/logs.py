"""What a program of the cluster said last, for people who would rather not open its log."""

from __future__ import annotations

import json
import re
from pathlib import Path

TAIL_BYTES = 100_000
TEXT_LIMIT = 400
# klog: `E1124 05:00:00.000000    1234 server.go:12] "text" err="why"`; F is fatal.
KLOG_ERROR = re.compile(r"^[EF]\d{4} \S+ +\d+ [^\]]+\] (?P<text>.*\S)")
# cobra and the Go runtime; containerd's text log.
PLAIN_ERROR = re.compile(r"^(?:Error|error|panic|fatal error|fatal): \S|level=(?:error|fatal)")
JSON_LEVELS = ("error", "panic", "fatal", "dpanic")


def last_error(file: Path) -> str:
    """The last line of `file` that tells of an error, or how it ends."""
    lines = [line for line in _tail(file) if line.strip()]
    for line in reversed(lines):
        if found := error_in(line):
            return found[:TEXT_LIMIT]
    if lines:
        return f"none; it ends with: {lines[-1].strip()[:TEXT_LIMIT]}"
    return "none; the log is empty"


def error_in(line: str) -> str:
    """What an error line of one of the programs says; empty for any other line."""
    if found := KLOG_ERROR.match(line):
        return found["text"]
    if PLAIN_ERROR.search(line):
        return line.strip()
    if line.startswith("{"):
        return _of_json(line)
    return ""


def _of_json(line: str) -> str:
    """etcd's log."""
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if entry.get("level") not in JSON_LEVELS:
        return ""
    return ": ".join(str(entry[key]) for key in ("msg", "error") if entry.get(key))


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
