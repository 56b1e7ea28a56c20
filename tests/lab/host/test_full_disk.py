"""The disk of a shared server fills at run time: no row that was accepted is lost, what is asked
for meanwhile ends in words, and everything goes on when there is room. Root, who may mount."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.provisioning.models import Job
from controlplane.service_requests.rules import RequestState
from lab import settings
from lab.progress import Progress
from lab.services import lifecycle, shared
from lab.services.endpoints import write_inventory
from tests.integration.live_city import end_live_city
from tests.lab.cloud import until
from tests.lab.engine_clients import Access
from tests.lab.filling import COUNT, FILLINGS, Filling, added_until_refused
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order, shown

QUIET = Progress(quiet=True)
#: Room for the engine, its log, and some hundred rows of a MiB.
SIZE_MIB = 640
#: For a run against a server that does not answer any more.
RUN_SECONDS = 60
PATIENCE_S = 120


class SharedServer:
    """One of the lab's, with its state on a disk of its own."""

    def __init__(self, filling: Filling, home: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
        self._settings = settings.load(environment={**kept, "LAB_HOME": str(home)})
        (self._engine,) = shared.chosen([filling.engine.service])
        self.inventory = home / "services" / "inventory.yml"

    def start(self) -> None:
        shared.start((self._engine,), self._settings, QUIET)
        write_inventory(self._settings)

    def stop(self) -> None:
        shared.stop((self._engine,), self._settings, QUIET)

    def clean(self) -> None:
        shared.clean(self._settings, QUIET)

    @property
    def state(self) -> Path:
        return lifecycle.entrance(self._engine, self._settings).resolve()


@contextmanager
def server_on_a_small_disk(filling: Filling, folder: Path) -> Iterator[SharedServer]:
    server = SharedServer(filling, folder / "lab")
    aside = folder / "aside"
    try:
        server.start()
        server.stop()
        run("cp", "-a", f"{server.state}/.", aside)
        run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}M", "tmpfs", server.state)
        try:
            run("cp", "-a", f"{aside}/.", server.state)
            server.start()
            yield server
        finally:
            server.stop()  # while its state is there to tell of it
            run("umount", "--lazy", server.state)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        server.clean()


@contextmanager
def city_of(server: SharedServer, folder: Path) -> Iterator[SharedCity]:
    limits = {"job_timeout_seconds": RUN_SECONDS, "job_attempts_max": 1}
    city = make_shared_city(folder, server.inventory, **limits)
    try:
        yield city
    finally:
        end_live_city(city)


def run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def newest(city: SharedCity, action: str) -> Job:
    return city.jobs(action=action)[-1]


@pytest.mark.parametrize("filling", FILLINGS, ids=str)
def test_a_shared_server_whose_disk_fills_loses_nothing_and_goes_on_when_it_has_room(
    filling: Filling, tmp_path: Path
) -> None:
    service = filling.engine.service
    with (
        server_on_a_small_disk(filling, tmp_path) as server,
        city_of(server, tmp_path / "city") as city,
    ):
        mine = city.fulfilled(order(city, service=service))
        theirs = city.fulfilled(order(city, "zhaoguodong", service))
        way = Access.shown(shown(city, mine), tmp_path)
        other = Access.shown(shown(city, theirs, "zhaoguodong"), tmp_path)
        for statement in filling.make:
            filling.do(way, statement)
            filling.do(other, statement)
        filling.do(other, filling.add)

        rows, refusal = added_until_refused(filling, way)
        assert re.search(filling.words, refusal), refusal

        asked = order(city, service=service, database_name="meanwhile")
        failed = until(lambda: said(city), PATIENCE_S, "the end of an order meanwhile")
        assert "Traceback" not in failed.error
        print(
            f"{service}: {rows} rows; {refusal.strip()}; an order: {failed.error.splitlines()[0]}"
        )

        run("mount", "-o", f"remount,size={SIZE_MIB * 4}M", server.state)
        server.start()  # it may have ended for want of room
        until(lambda: answers(filling, way), PATIENCE_S, "the server with room")
        ended = city.ended(asked)
        if ended.state == RequestState.FAILED:
            city.fulfilled(order(city, service=service, database_name="meanwhile"))
        (found,) = filling.do(way, COUNT)
        # Of the one that was not answered the server may have kept the whole.
        assert rows <= found[0] <= rows + 1, "every row that was accepted"
        filling.do(way, filling.add)
        assert filling.do(other, COUNT) == [(1,)]
        city.retire_all(service)
        city.idle()
        city.assert_nothing_is_left()


def said(city: SharedCity) -> Job | None:
    job = newest(city, "provision")
    return job if job.error else None


def answers(filling: Filling, way: Access) -> bool | None:
    try:
        return bool(filling.do(way, COUNT)) or None
    except filling.refused:
        return None
