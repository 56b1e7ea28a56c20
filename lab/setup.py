"""Makes `.venv` what the locks say; run by the machine's own Python, standard library only.

`python3 lab/setup.py [--dev]`: what the control plane imports, with --dev also tests and lint.
A second run does nothing and takes no time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
REQUIREMENTS = CHECKOUT / "requirements"
VENV = CHECKOUT / ".venv"
TOOLS = CHECKOUT / "var" / "tools"
OLDEST_PYTHON = (3, 11)


def main() -> int:
    stamp = VENV / ".locks"
    # A venv that has the tests' packages keeps them: it serves for running too.
    dev = "--dev" in sys.argv[1:] or _kind(stamp) == "dev"
    locks = [REQUIREMENTS / "controlplane.lock", *([REQUIREMENTS / "dev.lock"] if dev else [])]
    kind, wanted = "dev" if dev else "run", _digest(locks)
    if stamp.exists() and stamp.read_text(encoding="ascii").split() == [wanted, kind]:
        return 0
    started_s = time.monotonic()
    uv = _uv()
    if not (VENV / "bin" / "python").exists():
        _run([uv, "venv", "--quiet", "--allow-existing", "--python", _python(), str(VENV)])
    interpreter = str(VENV / "bin" / "python")
    _run([uv, "pip", "sync", "--quiet", "--python", interpreter, *map(str, locks)])
    _run(
        [uv, "pip", "install", "--quiet", "--python", interpreter, "--no-deps", "-e", str(CHECKOUT)]
    )
    stamp.write_text(f"{wanted}\n{kind}\n", encoding="ascii")
    seconds = time.monotonic() - started_s
    print(f"  \N{CHECK MARK} {'Python packages of the control plane':<44} {seconds:6.1f} s")
    return 0


def _kind(stamp: Path) -> str:
    """What an earlier run installed: "dev", "run", or "" for nothing."""
    try:
        return stamp.read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return ""


def _digest(locks: list[Path]) -> str:
    """Of what is installed, and of what says how the checkout itself is."""
    parts = [p.read_bytes() for p in (*locks, CHECKOUT / "setup.cfg")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _python() -> str:
    """The distribution's Python first: a venv on one below somebody's home serves nobody else."""
    for candidate in ("/usr/bin/python3", sys.executable):
        done = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2] >= (3, 11))"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.stdout.strip() == "True":
            return candidate
    sys.exit("setup: needs Python 3.11 or newer; on Debian 12: apt-get install python3")


def _uv() -> str:
    """uv of the locked version: on PATH in any version, or from PyPI by the machine's pip."""
    if found := shutil.which("uv"):
        return found
    own = TOOLS / "bin" / "uv"
    if not own.exists():
        lock = (REQUIREMENTS / "controlplane.lock").read_text(encoding="utf-8")
        pinned = next(line.split()[0] for line in lock.splitlines() if line.startswith("uv=="))
        _run([*_pip(), "install", "--quiet", "--no-compile", "--target", str(TOOLS), pinned])
    return str(own)


def _pip() -> list[str]:
    for python in (sys.executable, "/usr/bin/python3", "python3"):
        if not shutil.which(python):
            continue
        command = [python, "-m", "pip"]
        if (
            subprocess.run([*command, "--version"], capture_output=True, check=False).returncode
            == 0
        ):
            return command
    sys.exit("setup: neither uv nor pip is here; on Debian 12: apt-get install python3-pip")


def _run(command: list[str]) -> None:
    # Never let uv fetch an interpreter: that is a download from outside the registries.
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        sys.exit(f"setup: {' '.join(command[:4])} failed:\n{tail}")


if __name__ == "__main__":
    sys.exit(main())
