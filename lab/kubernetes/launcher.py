"""Processes of the control plane: started, waited for, watched, ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.kubernetes import CONTROL_PLANE, commands, logs
from lab.kubernetes.api import ApiError
from lab.kubernetes.context import Context
from lab.kubernetes.paths import Paths
from lab.unprivileged import User

#: The API server keeps nothing in memory, and would wait a minute for open connections.
STOP_GRACE_S = 2.0
#: etcd closes its file; it is asked last, when nobody writes any more.
ETCD_GRACE_S = 10.0
POLL_S = 0.1


@dataclass(frozen=True)
class Launcher:
    """Starts the control plane's programs as its user; they outlive the launcher."""

    context: Context
    user: User

    def spawn(self, name: str) -> subprocess.Popen[bytes]:
        """Starts `name` with a fresh log; the log of its run before is kept beside it."""
        paths = self.context.paths
        log = paths.log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with log.open("wb") as out:
            process = subprocess.Popen(
                commands.command(self.context, name),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=paths.etcd,
                umask=0o077,
                # Nothing of the caller's environment: a proxy or a kubeconfig would mislead it.
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": str(paths.etcd),
                    "LANG": "C.UTF-8",
                },
                **self.user.popen_options(),
            )
        processes.note(process.pid, paths.pid(name))
        return process

    def wait_healthy(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Returns when `name` answers that it is. Raises LabError naming its log."""

        def check() -> bool:
            if process.poll() is not None:
                raise LabError(describe_death(self.context.paths, name))
            return is_healthy(self.context, name)

        wait_for(check, self.context, f"{name} is not ready", self.context.paths.log(name))


def wait_for(ready: Callable[[], bool], context: Context, complaint: str, log: Path) -> None:
    """Returns when `ready` says so. Raises LabError after the settings' time."""
    timeout_s = context.settings.kubernetes.ready_timeout_s
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(
                f"{complaint} after {timeout_s} s\n"
                f"  log: {log}\n  last error: {logs.last_error(log)}"
            )
        time.sleep(POLL_S)


def is_healthy(context: Context, name: str) -> bool:
    """Whether `name` answers that it serves; etcd is asked through the API server."""
    port, address = commands.HEALTH.get(name, ("kubernetes_api", "/readyz"))
    try:
        return context.api(port).is_ok(address)
    except (OSError, ApiError):  # no certificate yet
        return False


def end(paths: Paths, names: Collection[str] = CONTROL_PLANE) -> list[str]:
    """Ends the named programs as far as they run; returns those that ran."""
    ended: list[str] = []
    for group, grace_s in (([n for n in names if n != "etcd"], STOP_GRACE_S),
                           ([n for n in names if n == "etcd"], ETCD_GRACE_S)):  # fmt: skip
        running = {
            name: process
            for name in group
            if (process := processes.noted(paths.pid(name))) and process.alive()
        }
        processes.end_all(running.values(), grace_s)
        ended += running
        for name in group:
            paths.pid(name).unlink(missing_ok=True)
    return ended


def describe_death(paths: Paths, name: str) -> str:
    """For a program that was started and is gone: where its log is and what it said last."""
    log = paths.log(name)
    return f"{name} died\n  log: {log}\n  last error: {logs.last_error(log)}"
