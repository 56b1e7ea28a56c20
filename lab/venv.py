"""Python environments of the lab's services, installed by uv from their committed locks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError
from lab.unprivileged import User

OLDEST_PYTHON = (3, 11)


def is_current(venv: Path, lock: Path) -> bool:
    """Whether the environment holds exactly what the lock names."""
    try:
        return (venv / "lock").read_text(encoding="ascii") == _hash(lock)
    except OSError:
        return False


def install(venv: Path, lock: Path, user: User) -> None:
    """Makes the environment what the lock says; a second time it does nothing.

    Bytecode is not compiled ahead: services write it as they import, where they may. Raises
    LabError with uv's last lines.
    """
    with venv.with_name(f"{venv.name}.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # checkouts may share the cache
        if not is_current(venv, lock):
            _install(venv, lock, user)


def _install(venv: Path, lock: Path, user: User) -> None:
    uv = _uv()
    # A path below /root would be out of reach for the services' user.
    python = _python_for(user)
    _run([uv, "venv", "--quiet", "--allow-existing", "--python", str(python), str(venv)])
    interpreter = str(venv / "bin" / "python")
    _run([uv, "pip", "sync", "--quiet", "--python", interpreter, str(lock)])
    (venv / "lock").write_text(_hash(lock), encoding="ascii")


def _hash(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _python_for(user: User) -> Path:
    """Debian's Python first: the distribution's libvirt binding is built for it."""
    candidates = [Path("/usr/bin/python3"), Path(sys.base_prefix) / "bin" / "python3"]
    for python in candidates:
        if python.exists() and user.can_run(python.resolve()) and _version(python) >= OLDEST_PYTHON:
            return python
    raise LabError(
        "no Python 3.11 or newer that the services' user can run; looked at "
        f"{', '.join(map(str, candidates))}. On Debian: apt-get install python3"
    )


def _version(python: Path) -> tuple[int, ...]:
    answer = subprocess.run(
        [str(python), "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tuple(int(n) for n in answer.stdout.split())


def _uv() -> str:
    """uv beside this interpreter, where the control plane's lock puts it, or on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise LabError("uv is not here: run `make setup`, and this command by .venv/bin/python")
    return found


def _run(command: list[str]) -> None:
    # Never let uv fetch an interpreter: that is a download from outside the registries.
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise LabError(f"{' '.join(command[:4])} failed:\n{tail}")
