"""Debian's Chromium and a font with Chinese letters, for browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess

from lab.errors import LabError
from lab.progress import Progress

PACKAGES = ("chromium", "fonts-noto-cjk")


def ensure_browser(progress: Progress) -> str:
    """Path of a Chromium that can draw Chinese; installed where that may be done.

    Raises LabError that says how, where it may not.
    """
    missing = [
        p for p, there in zip(PACKAGES, (_chromium(), _has_chinese()), strict=True) if not there
    ]
    if missing:
        _install(missing, progress)
    found = _chromium()
    if not found:
        raise LabError("no chromium on PATH after installing it")
    return found


def _chromium() -> str:
    return os.environ.get("TEST_CHROMIUM") or shutil.which("chromium") or ""


def _has_chinese() -> bool:
    if not shutil.which("fc-list"):
        return False
    done = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip())


def _install(missing: list[str], progress: Progress) -> None:
    how = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise LabError(f"browser tests need {' and '.join(missing)}; as root on Debian: {how}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(how):
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing],
        ):
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment
            )
            if done.returncode:
                raise LabError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
