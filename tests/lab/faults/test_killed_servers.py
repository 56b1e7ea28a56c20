"""A shared PostgreSQL or MariaDB killed amid an action: the next try does it, and nothing is lost.

Servers of these tests' own: nobody else's go down with them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymysql
import pytest

from controlplane.provisioning.models import Job
from lab import settings
from lab.progress import Progress
from lab.services import endpoints, shared
from tests.integration.live_city import end_live_city
from tests.lab.cloud import until
from tests.lab.servers import shared_roles
from tests.lab.servers.backed_city import Way, backup, backups
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order

NAME = "低保核对数据库"
#: So many that a kill finds the dump, or the load, under way.
ROWS = 300_000
PATIENCE_S = 60
QUIET = Progress(quiet=True)


class Servers:
    """PostgreSQL and MariaDB, of which one is killed with every process of it."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k.startswith("LAB_")}
        at = {**environment, "LAB_HOME": str(folder / "lab")}
        self.settings = settings.load(environment=at)
        self.engines = shared.chosen([engine.service for engine in ENGINES])

    def start(self) -> None:
        shared.start(self.engines, self.settings, QUIET)

    def kill(self, name: str) -> None:
        (status,) = shared.status(shared.chosen([name]), self.settings)
        server = psutil.Process(status.pid)
        for process in (server, *server.children(recursive=True)):
            process.kill()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    made = Servers(tmp_path_factory.mktemp("services"))
    try:
        made.start()
        yield made
    finally:
        shared.clean(made.settings, QUIET)


@pytest.fixture(scope="module")
def city(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCity]:
    inventory, folder = endpoints.write_inventory(servers.settings), tmp_path_factory.mktemp("city")
    changes = {"job_attempts_max": 5, "job_retry_base_seconds": 1}
    city = make_shared_city(folder, inventory, backup_store=folder / "store", **changes)
    yield city
    city.retire_all("postgresql", "mariadb")
    city.assert_nothing_is_left()
    end_live_city(city)
    assert [engine.left_on(inventory) for engine in ENGINES] == [[], []]


@pytest.fixture(scope="module", params=ENGINES, ids=str)
def engine(request: pytest.FixtureRequest) -> Backed:
    found: Backed = request.param
    return found


@pytest.fixture(scope="module")
def way(city: SharedCity, engine: Backed, tmp_path_factory: pytest.TempPathFactory) -> Way:
    return Way(city, engine, tmp_path_factory.mktemp("way"))


@pytest.fixture(scope="module")
def source(city: SharedCity, engine: Backed, way: Way) -> str:
    resource_id = city.fulfilled(order(city, service=engine.service))
    way.fill(resource_id, ROWS)
    return resource_id


def names_on(city: SharedCity, engine: Backed) -> set[str]:
    """Databases that are on the server now."""
    inventory = city.control_plane.settings.shared_inventory
    assert inventory is not None
    server = shared_roles.server_of(engine.service, inventory)
    at: dict[str, Any] = {
        "host": server["service_address"],
        "port": server["service_port"],
        "user": server["service_admin_user"],
        "password": server["password"],
    }
    if engine.service == "postgresql":
        tls = {"sslmode": "verify-full", "sslrootcert": server["service_ca_file"]}
        with psycopg.connect(dbname="postgres", **at, **tls) as connection:
            found = connection.execute("SELECT datname FROM pg_database").fetchall()
    else:
        with (
            pymysql.connect(**at, ssl_ca=server["service_ca_file"]) as session,
            session.cursor() as cursor,
        ):
            cursor.execute("SHOW DATABASES")
            found = list(cursor.fetchall())
    return {str(row[0]) for row in found}


def finished_after_a_kill(
    city: SharedCity, servers: Servers, engine: Backed, action: str, when: Callable[[], Any]
) -> Job:
    """The server is killed at the moment that `when` tells, which costs the newest job of the
    action a try, and is there again for the next one."""
    city.worker.wake()
    give_up_at = time.monotonic() + PATIENCE_S
    while not when():  # it is soon over: asked without a pause
        assert time.monotonic() < give_up_at, city.told()
    servers.kill(engine.service)
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


def test_killed_while_a_database_is_made_the_order_is_delivered_once(
    city: SharedCity, servers: Servers, way: Way, engine: Backed
) -> None:
    request_id = order(city, service=engine.service)
    finished_after_a_kill(city, servers, engine, "provision", lambda: runs(city, "provision"))
    resource_id = city.fulfilled(request_id)
    assert way.ask(resource_id, "SELECT 1") == [(1,)]


def test_killed_amid_a_backup_the_next_try_takes_it_whole(
    city: SharedCity, servers: Servers, way: Way, engine: Backed, source: str
) -> None:
    before = way.total(source)
    store = city.control_plane.settings.backups_dir
    city.control_plane.recovery.back_up_now(city.person("limin"), source)
    finished_after_a_kill(city, servers, engine, "backup", lambda: [*store.rglob("*.part")])
    taken = backups(city, source)[-1]
    assert (taken.state, taken.manifest["tables"][engine.in_manifest]["rows"]) == ("kept", ROWS)
    assert [*store.rglob("*.part")] == [], "what the first try had written is gone"
    assert way.total(source) == before


def test_killed_amid_a_restore_what_is_there_stays_until_the_next_try_has_it_whole(
    city: SharedCity, servers: Servers, way: Way, engine: Backed, source: str
) -> None:
    taken, before = backup(city, source), way.total(source)
    way.ask(source, "DELETE FROM household WHERE id > 7")
    beside = f"{city.resource(source).outputs['database']}_restoring"
    recovery = city.control_plane.recovery
    recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    finished_after_a_kill(
        city, servers, engine, "restore", lambda: beside in names_on(city, engine)
    )
    assert way.total(source) == before
    assert beside not in names_on(city, engine)


def test_killed_amid_a_change_of_password_the_new_one_holds_and_the_rows_stay(
    city: SharedCity, servers: Servers, way: Way, engine: Backed, source: str
) -> None:
    before = way.total(source)
    operations, limin = city.control_plane.operations, city.person("limin")
    operations.operate_resource(limin, source, "rotate_password", {})
    finished_after_a_kill(
        city, servers, engine, "rotate_password", lambda: runs(city, "rotate_password")
    )
    assert way.total(source) == before, "by the connection string of now"
