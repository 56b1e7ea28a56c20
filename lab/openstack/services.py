"""The service processes: initialised, started, watched, ended."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import processes
from lab.errors import LabError
from lab.openstack import logs
from lab.openstack.paths import Paths
from lab.settings import CHECKOUT
from lab.unprivileged import User

STOP_GRACE_S = 5.0

# stevedore finds neutron's mechanism driver only by the entry point of an installed package.
ENTRY_POINTS = """\
[neutron.ml2.mechanism_drivers]
lab_recorded = lab.openstack.inside.recorded_ports:RecordedPorts
"""


@dataclass(frozen=True)
class Launcher:
    """Runs Python modules of the `lab` package as the services' user, in the services' venv."""

    paths: Paths
    user: User

    def is_initialised(self, service: str) -> bool:
        """Whether the service's databases were made to the end."""
        return self._initialised(service).exists()

    def initialise(self, service: str, passwords: Mapping[str, str]) -> None:
        """Makes the service's databases afresh. Raises LabError naming the log."""
        out = self.paths.out(f"{service}-init")
        with out.open("wb") as log:
            result = subprocess.run(
                self._command("initialise", service, str(self.paths.etc)),
                input=json.dumps(dict(passwords)).encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                **self._options(f"{service}-init"),
            )
        if result.returncode:
            raise LabError(
                f"{service}: its databases could not be made\n"
                f"  log: {out}\n  last error: {logs.last_error(out)}"
            )
        self._initialised(service).touch()

    def _initialised(self, service: str) -> Path:
        return self.paths.db / f"{service}.initialised"

    def seed(self, order: Mapping[str, Any]) -> None:
        """Runs the seeding inside the services' venv. Raises LabError naming the log."""
        out = self.paths.out("seed")
        with out.open("wb") as log:
            result = subprocess.run(
                self._command("seed"),
                input=json.dumps(order).encode(),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                **self._options("seed"),
            )
        if result.returncode:
            raise LabError(
                "the cloud runs, but its first contents could not be made\n"
                f"  log: {out}\n  last error: {logs.last_error(out)}"
            )

    def spawn(self, service: str, listener: socket.socket) -> subprocess.Popen[bytes]:
        """Starts the service on the open socket `listener`; it outlives the launcher."""
        self.paths.ready(service).unlink(missing_ok=True)
        fd = listener.fileno()
        with self.paths.out(service).open("wb") as out:
            process = subprocess.Popen(
                self._command(
                    "run", service, str(self.paths.etc), str(self.paths.ready(service)), str(fd)
                ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                pass_fds=(fd,),
                start_new_session=True,
                **self._options(service),
            )
        processes.note(process.pid, self.paths.pid(service))
        return process

    def wait_ready(self, service: str, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        """Returns when the service serves. Raises LabError naming log and last error line."""
        deadline = time.monotonic() + timeout_s
        while not self.paths.ready(service).exists():
            if process.poll() is not None:
                raise LabError(describe_death(self.paths, service))
            if time.monotonic() > deadline:
                raise LabError(
                    f"{service} is not ready after {timeout_s:.0f} s\n"
                    f"  log: {self.paths.oslo_log(service)}"
                )
            time.sleep(0.05)

    def _command(self, module: str, *arguments: str) -> list[str]:
        python = str(self.paths.venv / "bin" / "python")
        return [python, "-m", f"lab.openstack.inside.{module}", *arguments]

    def _options(self, name: str) -> dict[str, Any]:
        """A clean environment: no LAB_*, OS_* or PYTHON* of the caller reaches a service."""
        # neutron keeps its start time in the temporary folder by its parent's pid, and would find
        # that of another run there: so each process has a fresh one of its own.
        temporary = self.paths.run / f"tmp-{name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        self.user.give(temporary)
        environment = {
            "PATH": f"{self.paths.venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.paths.state),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self.paths.code),
            "PYTHONPYCACHEPREFIX": str(self.paths.bytecode),
            "PYTHONWARNINGS": "ignore",
        }
        return {
            "env": environment,
            "cwd": self.paths.state,
            "umask": 0o022,
            **self.user.popen_options(),
        }


def copy_code(paths: Paths) -> None:
    """Copies the `lab` package into the state, readable for the services' user.

    The services run the copy: their user may not reach the checkout, and a running cloud does not
    change when the checkout does.
    """
    shutil.rmtree(paths.code, ignore_errors=True)
    shutil.copytree(
        CHECKOUT / "lab",
        paths.code / "lab",
        ignore=shutil.ignore_patterns("__pycache__"),
        copy_function=shutil.copyfile,
    )
    package = paths.code / "controlplane_lab-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: controlplane-lab\nVersion: 1\n")
    (package / "entry_points.txt").write_text(ENTRY_POINTS)
    for path in (paths.code, *paths.code.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def end(paths: Paths, names: Collection[str]) -> list[str]:
    """Ends the named services as far as they run, all at once; returns those that ran."""
    running = {
        service: process
        for service in names
        if (process := processes.noted(paths.pid(service))) and process.alive()
    }
    processes.end_all(running.values(), STOP_GRACE_S)
    for service in names:
        paths.pid(service).unlink(missing_ok=True)
        paths.ready(service).unlink(missing_ok=True)
    return list(running)


def describe_death(paths: Paths, service: str) -> str:
    """For a service that was started and is gone: where its log is and what it said last."""
    return (
        f"{service} died\n"
        f"  log: {paths.oslo_log(service)}, {paths.out(service)}\n"
        f"  last error: {logs.last_error(paths.out(service), paths.oslo_log(service))}"
    )


def ready_since_start(paths: Paths, service: str) -> bool:
    """Whether the running process of `service` has said that it serves."""
    process = processes.noted(paths.pid(service))
    if process is None or not process.alive():
        return False
    return _said_ready(paths.ready(service)) == process.pid


def _said_ready(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
