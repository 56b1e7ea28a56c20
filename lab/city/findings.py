"""What lies about when a story has come to no end: the last words of those who had a part in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.openstack.paths import Paths

LINES = 3
TAIL_BYTES = 20_000
WIDTH = 200


def last_words(controlplane: Path, openstack: Paths) -> list[str]:
    """A line each, the one who spoke first: the newest run of a playbook, the newest guest on its
    console, OpenStack's services where they tell of errors, the control plane."""
    nova = openstack.data("nova") / "instances"
    return [
        *_of("run", _newest((controlplane / "jobs").glob("*/artifacts/*/stdout"))),
        *_of("runner", _newest((controlplane / "jobs").glob("*/runner.log"))),
        *_of("console", _newest(nova.glob("*/console.log"))),
        *_of("nova", openstack.oslo_log("nova"), only=" ERROR "),
        *_of("neutron", openstack.oslo_log("neutron"), only=" ERROR "),
        *_of("control plane", controlplane / "serve.log"),
    ]


def _newest(files: Iterable[Path]) -> Path | None:
    return max(files, key=lambda file: file.stat().st_mtime, default=None)


def _of(who: str, file: Path | None, only: str = "") -> list[str]:
    if file is None or not file.exists():
        return []
    text = file.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and only in line]
    return [f"{who}: {line[:WIDTH]}" for line in lines[-LINES:]]
