"""A shared database server killed amid an action: the next try does it, and nothing is lost."""

from __future__ import annotations

from typing import Any

import psycopg
import pymysql
import pytest

from tests.lab.faults.killed.killing import Servers, finished_after_a_kill, runs
from tests.lab.servers import shared_roles
from tests.lab.servers.backed_city import Way, backup, backups
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import SharedCity, order

NAME = "低保核对数据库"
#: So many that a kill finds the dump, or the load, under way.
ROWS = 300_000


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
