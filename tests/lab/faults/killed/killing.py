"""Servers of these tests' own, to be killed: nobody else's go down with them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from controlplane.provisioning.models import Job
from lab import settings
from lab.progress import Progress
from lab.services import lifecycle, shared
from tests.lab.cloud import until
from tests.lab.servers.shared_city import SharedCity

PATIENCE_S = 60
QUIET = Progress(quiet=True)


class Servers:
    """All four, of which one is killed with every process of it."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
        at = {**environment, "LAB_HOME": str(folder / "lab")}
        self.settings = settings.load(environment=at)

    def start(self) -> None:
        shared.start(shared.ENGINES, self.settings, QUIET)

    def wait_until_written(self, name: str, word: str) -> None:
        """A broker answers two seconds before what it knows of a queue is in its files."""
        (engine,) = shared.chosen([name])
        data = lifecycle.server_of(engine, self.settings).data

        def is_there() -> bool | None:
            for file in data.rglob("*"):
                with suppress(OSError):  # a folder, or replaced meanwhile
                    if word.encode() in file.read_bytes():
                        return True
            return None

        until(is_there, PATIENCE_S, f"{word} in the files of {name}")

    def kill(self, name: str) -> None:
        (status,) = shared.status(shared.chosen([name]), self.settings)
        server = psutil.Process(status.pid)
        for process in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # gone with its parent
                process.kill()


def finished_after_a_kill(
    city: SharedCity, servers: Servers, service: str, action: str, when: Callable[[], Any]
) -> Job:
    """The server is killed at the moment that `when` tells, which costs the newest job of the
    action a try, and is there again for the next one."""
    city.worker.wake()
    give_up_at = time.monotonic() + PATIENCE_S
    while not when():  # it is soon over: asked without a pause
        assert time.monotonic() < give_up_at, city.told()
    servers.kill(service)
    until(lambda: city.jobs(action=action)[-1].error or None, PATIENCE_S, "a try without a server")
    said = city.jobs(action=action)[-1].error
    servers.start()
    city.idle()
    job = city.jobs(action=action)[-1]
    assert (job.state, job.attempt > 1) == ("succeeded", True), city.told()
    assert "Traceback" not in said
    assert "hidden" not in said, "why is no secret"
    return job


def runs(city: SharedCity, action: str) -> bool:
    return city.jobs(action=action)[-1].state == "running"
