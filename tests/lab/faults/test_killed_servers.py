"""A shared server killed amid an action: the next try does it, and nothing is lost.

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

from controlplane.pipeline import Ask
from controlplane.provisioning.models import Job
from controlplane.upgrade_plans import Plan
from lab import settings
from lab.progress import Progress
from lab.services import endpoints, shared
from tests.integration.live_city import end_live_city
from tests.lab.campaigns import advance_to_the_end
from tests.lab.cloud import until
from tests.lab.engine_clients import RABBITMQ, REDIS, Access, Engine, cache
from tests.lab.servers import shared_roles
from tests.lab.servers.backed_city import Way, backup, backups
from tests.lab.servers.backed_engines import ENGINES, POSTGRESQL, Backed
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order, shown
from tests.newer import offering

NAME = "低保核对数据库"
#: So many that a kill finds the dump, or the load, under way.
ROWS = 300_000
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
    city.retire_all("postgresql", "mariadb", "redis", "rabbitmq")
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


def test_killed_while_a_database_is_made_the_order_is_delivered_once(
    city: SharedCity, servers: Servers, way: Way, engine: Backed
) -> None:
    request_id = order(city, service=engine.service)
    finished_after_a_kill(
        city, servers, engine.service, "provision", lambda: runs(city, "provision")
    )
    resource_id = city.fulfilled(request_id)
    assert way.ask(resource_id, "SELECT 1") == [(1,)]


def test_killed_amid_a_backup_the_next_try_takes_it_whole(
    city: SharedCity, servers: Servers, way: Way, engine: Backed, source: str
) -> None:
    before = way.total(source)
    store = city.control_plane.settings.backups_dir
    city.control_plane.recovery.back_up_now(city.person("limin"), source)
    finished_after_a_kill(city, servers, engine.service, "backup", lambda: [*store.rglob("*.part")])
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
        city, servers, engine.service, "restore", lambda: beside in names_on(city, engine)
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
        city, servers, engine.service, "rotate_password", lambda: runs(city, "rotate_password")
    )
    assert way.total(source) == before, "by the connection string of now"


def test_killed_amid_a_change_of_plan_the_new_one_holds_and_the_rows_stay(
    city: SharedCity, servers: Servers, way: Way, engine: Backed, source: str
) -> None:
    before = way.total(source)
    request_id = city.change(source, plan="standard")
    finished_after_a_kill(city, servers, engine.service, "change", lambda: runs(city, "change"))
    assert city.fulfilled(request_id) == source
    assert city.resource(source).spec["plan"]["code"] == "standard"
    assert way.total(source) == before


@pytest.mark.parametrize("engine", [REDIS, RABBITMQ], ids=str)
def test_a_cache_or_a_broker_killed_amid_its_order_a_change_or_a_rotation_does_it_and_loses_nothing(
    city: SharedCity, servers: Servers, engine: Engine, tmp_path: Path
) -> None:
    form = {"system_name": NAME, "plan": "small", **engine.form}
    asked = Ask(engine.service, "provision", "internet", form)
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), asked)
    city.decide("zhangjing", request_id)

    def killed_amid(action: str) -> None:
        finished_after_a_kill(city, servers, engine.service, action, lambda: runs(city, action))

    def access() -> Access:
        return Access.shown(shown(city, resource_id), tmp_path)

    def count(by: Access) -> int:
        return int(cache(by).exists(*keys)) if keys else engine.count(by)

    killed_amid("provision")
    resource_id = city.fulfilled(request_id)
    prefix = city.resource(resource_id).outputs.get("prefix")
    keys = [f"{prefix}{name}" for name in "abc"] if prefix else []
    if keys:
        cache(access()).mset(dict.fromkeys(keys, "1"))
    else:
        engine.write(access())
    assert count(access()) == 3
    request_id = city.change(resource_id, plan="standard")
    killed_amid("change")
    assert city.fulfilled(request_id) == resource_id
    assert count(access()) == 3
    before = access()
    city.control_plane.operations.operate_resource(
        city.person("limin"), resource_id, "rotate_password", {}
    )
    killed_amid("rotate_password")
    assert access().password != before.password
    assert count(access()) == count(before) == 3, "both are valid for a while"


def test_killed_amid_an_upgrade_the_next_try_does_it_and_the_rows_stay(
    city: SharedCity, servers: Servers, tmp_path: Path
) -> None:
    way = Way(city, POSTGRESQL, tmp_path)
    resource_id = city.fulfilled(order(city))
    way.fill(resource_id, 1000)
    before = way.total(resource_id)
    older = city.resource(resource_id).service_version
    city.start_again_on(offering("postgresql", tmp_path))
    upgrading, engineer = city.control_plane.upgrading, city.person("chengang")
    number = upgrading.start(engineer, Plan("postgresql", older, "9.0.0", any_time=True))
    upgrading.advance()
    city.worker.wake()
    city.idle()  # a backup is taken first
    upgrading.advance()
    finished_after_a_kill(city, servers, "postgresql", "upgrade", lambda: runs(city, "upgrade"))
    assert advance_to_the_end(city, number) == "finished", city.told()
    assert city.resource(resource_id).service_version == "9.0.0"
    assert way.total(resource_id) == before
