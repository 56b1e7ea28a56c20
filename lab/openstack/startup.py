"""Brings services up side by side, or ends all that it started."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from lab.openstack.config import Context
from lab.openstack.services import Launcher
from lab.progress import Progress


class _GivenUpError(Exception):
    """Another service failed first."""


class Startup:
    """Initialises and starts each service as soon as its own databases are there.

    All of them sign in to keystone as they start, so they wait until its users are written; not
    for keystone itself, since its socket is open and keeps their requests until it serves.
    """

    def __init__(
        self,
        context: Context,
        launcher: Launcher,
        listeners: Mapping[str, socket.socket],
        progress: Progress,
    ) -> None:
        self._context = context
        self._launcher = launcher
        self._listeners = listeners
        self._progress = progress
        self._users_written = threading.Event()
        self._started: list[subprocess.Popen[bytes]] = []
        self._given_up = False
        self._lock = threading.Lock()

    def run(self) -> None:
        """Returns when every service is ready. Raises LabError of the first that failed; then
        none of those it started runs on."""
        if "keystone" not in self._listeners:
            self._users_written.set()
        with ThreadPoolExecutor(max(1, len(self._listeners))) as pool:
            futures = [pool.submit(self._bring, service) for service in self._listeners]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:  # an interrupt from the keyboard too
                self._give_up()
                raise

    def _bring(self, service: str) -> None:
        if not self._launcher.is_initialised(service):
            with self._progress.step(f"{service}: databases"):
                self._launcher.initialise(service, self._passwords())
        if service == "keystone":
            self._users_written.set()
        self._users_written.wait()
        with self._progress.step(f"{service}: start"):
            process = self._spawn(service)
            timeout_s = self._context.settings.openstack.ready_timeout_s
            self._launcher.wait_ready(service, process, timeout_s)

    def _spawn(self, service: str) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._given_up:
                raise _GivenUpError
            process = self._launcher.spawn(service, self._listeners[service])
            self._started.append(process)
            return process

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            for process in self._started:
                process.kill()
                process.wait()
        self._users_written.set()  # whoever waits finds that there is nothing to wait for
        for service in self._listeners:
            self._context.paths.pid(service).unlink(missing_ok=True)

    def _passwords(self) -> dict[str, str]:
        return {name: self._context.record.password(name) for name in ("admin", "service")}
