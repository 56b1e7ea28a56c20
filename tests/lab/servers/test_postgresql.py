"""Databases on the real shared PostgreSQL, ordered, used by real clients, and taken away again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from controlplane.pipeline import Ask
from tests.integration.live_city import end_live_city
from tests.lab.servers.shared_city import SharedCity, ask, left_on, make_shared_city, order, uri

pytestmark = pytest.mark.brief


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Iterator[SharedCity]:
    city = make_shared_city(tmp_path_factory.mktemp("databases"), inventory)
    yield city
    end_live_city(city)


@pytest.fixture
def city(running_city: SharedCity, inventory: Path) -> Iterator[SharedCity]:
    """What a test leaves standing goes, and nothing of it may be left on the server."""
    yield running_city
    running_city.retire_all("postgresql")
    running_city.assert_nothing_is_left()
    assert left_on(inventory) == []


def test_a_database_is_used_by_the_string_that_was_shown(city: SharedCity, tmp_path: Path) -> None:
    resource_id = city.fulfilled(order(city))
    address = uri(city, tmp_path, resource_id)
    ask(address, "CREATE TABLE household AS SELECT generate_series(1, 1000) AS id")
    assert ask(address, "SELECT count(*) FROM household") == [(1000,)]
    with psycopg.connect(address) as connection:
        assert connection.pgconn.ssl_in_use
        answer = connection.execute("SELECT session_user, current_user").fetchall()
    ((account, owner),) = answer
    assert account == f"{owner}_a", "what an account makes belongs to the owner"
    with pytest.raises(psycopg.OperationalError):
        ask(address.replace("verify-full", "disable"), "SELECT 1")


def test_the_data_outlive_a_change_of_password_and_both_hold_for_a_while(
    city: SharedCity, tmp_path: Path
) -> None:
    resource_id = city.fulfilled(order(city))
    old = uri(city, tmp_path, resource_id)
    ask(old, "CREATE TABLE household (id int)")
    city.operate(resource_id, "rotate_password")
    new = uri(city, tmp_path, resource_id)
    ask(new, "INSERT INTO household VALUES (1)")
    ask(old, "INSERT INTO household VALUES (2)")
    ask(new, "ALTER TABLE household ADD note text")
    city.clock.advance(hours=24)
    city.ticks.end_grace()
    city.worker.wake()
    city.idle()
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        ask(old, "SELECT 1")
    assert ask(new, "SELECT count(*) FROM household") == [(2,)]
    city.operate(resource_id, "rotate_password")
    assert ask(uri(city, tmp_path, resource_id), "SELECT count(*) FROM household") == [(2,)]


def test_suspended_it_takes_no_connection_and_keeps_its_data(
    city: SharedCity, tmp_path: Path
) -> None:
    resource_id = city.fulfilled(order(city))
    address = uri(city, tmp_path, resource_id)
    ask(address, "CREATE TABLE household (id int)")
    with psycopg.connect(address) as connection:
        city.operate(resource_id, "power_off")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="too many connections"):
        ask(address, "SELECT 1")
    city.operate(resource_id, "power_on")
    assert ask(address, "SELECT count(*) FROM household") == [(0,)]


def test_a_larger_plan_takes_more_connections(city: SharedCity, tmp_path: Path) -> None:
    resource_id = city.fulfilled(order(city))
    limit = "SELECT datconnlimit FROM pg_database WHERE datname = current_database()"
    assert ask(uri(city, tmp_path, resource_id), limit) == [(20,)]
    city.fulfilled(city.change(resource_id, plan="standard"))
    assert ask(uri(city, tmp_path, resource_id), limit) == [(60,)]
    assert city.resource(resource_id).capacity["memory_mib"] == 2048


def test_one_department_does_not_reach_the_other_s_database(
    city: SharedCity, tmp_path: Path
) -> None:
    ours = city.fulfilled(order(city))
    theirs = city.fulfilled(order(city, "zhaoguodong"))
    address = uri(city, tmp_path, ours)
    their_database = city.resource(theirs).outputs["database"]
    strange = address.replace(f"/{city.resource(ours).outputs['database']}?", f"/{their_database}?")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        ask(strange, "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        ask(
            address.replace(f"/{city.resource(ours).outputs['database']}?", "/postgres?"),
            "SELECT 1",
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(address, f"SET SESSION AUTHORIZATION {their_database}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(address, "SELECT rolpassword FROM pg_authid")


@pytest.mark.parametrize("name", ["select", "pg_dibao", "低保", "Dibao", "a", "d" * 31, "x'; --"])
def test_a_name_that_no_database_may_have_is_refused_at_the_form(
    city: SharedCity, name: str
) -> None:
    preparation = city.control_plane.pipeline.prepare(
        city.person("limin"),
        Ask(
            "postgresql",
            "provision",
            "internet",
            {"system_name": "低保", "plan": "small", "database_name": name},
        ),
    )
    assert {fault.field for fault in preparation.faults} == {"database_name"}
