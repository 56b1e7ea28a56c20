"""Day-2 actions on a database of the real shared PostgreSQL, by real plays and real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from controlplane.drivers.shared import SharedServices
from controlplane.readings import DiskReading
from tests.lab.servers.shared_roles import ODD_PASSWORD, Instance, plan_of

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Iterator[Instance]:
    made = instance(inventory, tmp_path_factory.mktemp("ours"), "dibao")
    query(made, "CREATE TABLE household AS SELECT generate_series(1, 100) AS id")
    yield made
    made.run("retire")
    assert left_of(made) == []


def instance(inventory: Path, folder: Path, name: str) -> Instance:
    spec = {"database_name": name, "plan": plan_of("postgresql", "small")}
    made = Instance("postgresql", inventory, folder, spec, ODD_PASSWORD)
    made.run("provision")
    return made


def connect(made: Instance, account: str = "", password: str = "") -> psycopg.Connection[Any]:
    server = made.server
    return psycopg.connect(
        host=server["service_address"],
        port=server["service_port"],
        dbname=made.outputs["database"],
        user=f"{made.outputs['database']}_{account}" if account else made.outputs["username"],
        password=password or made.password,
        sslmode="verify-full",
        sslrootcert=server["service_ca_file"],
    )


def query(made: Instance, text: str, account: str = "", password: str = "") -> list[Any]:
    with connect(made, account, password) as connection:
        answer = connection.execute(text)  # type: ignore[call-overload]
        return list(answer.fetchall()) if answer.description else []


def left_of(made: Instance) -> list[str]:
    """Databases and roles that are still there of one that was retired."""
    server = made.server
    with psycopg.connect(
        host=server["service_address"],
        port=server["service_port"],
        dbname="postgres",
        user=server["service_admin_user"],
        password=server["password"],
        sslmode="verify-full",
        sslrootcert=server["service_ca_file"],
    ) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %(name)s "
            "UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE %(name)s",
            {"name": f"{made.outputs['database']}%"},
        )
        return [str(row[0]) for row in rows]


def add(made: Instance, name: str, rights: str, password: str) -> int:
    return made.run("add_account", {"account": name, "rights": rights}, password)


def test_a_reader_reads_what_there_is_and_what_comes_later_and_writes_nothing(
    database: Instance,
) -> None:
    assert add(database, "report", "read", "Read-1") > 0
    assert add(database, "report", "read", "Read-1") == 0, "a second run changes nothing"
    query(database, "CREATE TABLE later AS SELECT 1 AS id")
    query(database, "CREATE SCHEMA more CREATE TABLE more.there (id int)")
    for table in ("household", "later", "more.there"):
        query(database, f"TABLE {table}", "report", "Read-1")
    for attempt in ("DELETE FROM household", "CREATE TABLE mine (id int)", "DROP TABLE household"):
        with pytest.raises(DENIED):
            query(database, attempt, "report", "Read-1")


def test_what_a_writer_makes_belongs_to_everybody_and_stays_when_it_goes(
    database: Instance,
) -> None:
    add(database, "loader", "write", ODD_PASSWORD)
    query(database, "CREATE TABLE loaded (id int)", "loader", ODD_PASSWORD)
    query(database, "INSERT INTO loaded VALUES (1); ALTER TABLE loaded ADD note text")
    database.run("account_password", {"account_there": "loader"}, "Next-1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(database, "SELECT 1", "loader", ODD_PASSWORD)
    with connect(database, "loader", "Next-1") as session:
        session.execute("INSERT INTO loaded VALUES (2)")
        session.commit()
        assert database.run("remove_account", {"account_there": "loader"}) > 0
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert [a["name"] for a in database.outputs["accounts"]] == ["report"]
    assert query(database, "SELECT count(*) FROM loaded") == [(2,)]
    with pytest.raises(psycopg.OperationalError):
        query(database, "SELECT 1", "loader", "Next-1")


def test_a_name_that_is_another_s_role_is_refused_and_left_alone(
    database: Instance, tmp_path: Path
) -> None:
    """Its database is called as ours with the beginning of its id, which we add as an account."""
    theirs = Instance(
        "postgresql",
        database.inventory,
        tmp_path,
        {**database.spec, "database_name": database.outputs["database"]},
        "Theirs-1",
        resource_id="abcdef" + database.resource_id[6:],
    )
    theirs.run("provision")
    try:
        said = database.fails("add_account", {"account": "abcdef", "rights": "write"}, "Ours-1")
        assert "is taken on this server" in said
        assert query(theirs, "SELECT 1") == [(1,)]
    finally:
        theirs.run("retire")


def test_extensions_come_and_go_and_say_what_still_needs_them(database: Instance) -> None:
    assert database.run("add_extension", {"extension": "pg_trgm"}) > 0
    assert database.run("add_extension", {"extension": "pg_trgm"}) == 0
    query(database, "ALTER TABLE household ADD name text")
    query(database, "CREATE INDEX names ON household USING gin (name gin_trgm_ops)")
    assert "index names" in database.fails("remove_extension", {"extension": "pg_trgm"})
    query(database, "DROP INDEX names")
    database.run("remove_extension", {"extension": "pg_trgm"})
    assert query(database, "SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'") == []


def test_settings_hold_for_new_sessions_and_not_for_the_platform_s_own(database: Instance) -> None:
    wanted = {
        "statement_timeout_s": 1,
        "lock_timeout_s": 2,
        "idle_in_transaction_timeout_s": 0,
        "work_mem_mib": 8,
        "isolation": "repeatable read",
        "time_zone": "Asia/Shanghai",
    }
    database.run("set_parameters", wanted)
    assert database.outputs["parameters"] == wanted
    shown = "SELECT current_setting('work_mem'), current_setting('TimeZone')"
    assert query(database, shown) == [("8MB", "Asia/Shanghai")]
    with pytest.raises(psycopg.errors.QueryCanceled):
        query(database, "SELECT pg_sleep(3)")
    assert query(database, "SHOW transaction_isolation") == [("repeatable read",)]
    database.run("set_parameters", {"work_mem_mib": 4})
    assert query(database, "SHOW statement_timeout") == [("0",)]


def test_accounts_and_settings_stay_with_the_address_when_the_data_change_places(
    database: Instance, tmp_path: Path
) -> None:
    theirs = instance(database.inventory, tmp_path, "caiwu")
    try:
        query(theirs, "CREATE TABLE ledger (id int)")
        add(theirs, "audit", "read", "Audit-1")
        add(theirs, "loader", "write", "Load-1")
        database.run("set_parameters", {"work_mem_mib": 8})
        of_theirs = {"resource_id": theirs.resource_id, "outputs": theirs.outputs}
        database.told = {"related": {"other": {**of_theirs, "spec": theirs.spec}}}
        database.run("exchange")
        assert query(database, "SELECT count(*) FROM ledger", "report", "Read-1") == [(0,)]
        assert query(database, "SHOW work_mem") == [("8MB",)]
        assert query(theirs, "SHOW work_mem") == [("4MB",)]
        assert query(theirs, "SELECT count(*) FROM household", "audit", "Audit-1") == [(100,)]
        query(theirs, "CREATE TABLE mine (id int)", "loader", "Load-1")
        query(theirs, "DROP TABLE mine")
        query(database, "CREATE TABLE later (id int)")
        assert query(database, "SELECT count(*) FROM later", "report", "Read-1") == [(0,)]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            query_at(theirs, database.outputs["database"], "audit", "Audit-1")
        add(database, "report", "read", "Read-2")
    finally:
        theirs.run("retire")
    assert left_of(theirs) == []


def query_at(made: Instance, other: str, account: str, password: str) -> None:
    """A query of an account in a database that is not its own."""
    outputs, made.outputs = made.outputs, {**made.outputs}
    user = f"{made.outputs['database']}_{account}"
    made.outputs |= {"database": other, "username": user}
    secret, made.password = made.password, password
    try:
        query(made, "SELECT 1")
    finally:
        made.outputs, made.password = outputs, secret


def test_a_full_database_is_read_only_until_its_plan_is_larger(database: Instance) -> None:
    def reading() -> DiskReading:
        return SharedServices(database.inventory).disk_readings([])[database.resource_id]

    query(database, "CREATE TABLE filled AS SELECT generate_series(1, 100) AS id")
    assert reading().used_bytes > 1 << 20
    assert not reading().is_read_only
    plan = database.spec["plan"]
    database.spec = {**database.spec, "plan": {**plan, "storage_gib.standard": 0}}
    with connect(database) as session:
        session.execute("SELECT 1")
        assert database.run("hold_to_plan") == 1
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert database.run("hold_to_plan") == 0
    assert reading().is_read_only
    assert query(database, "SELECT count(*) FROM filled") == [(100,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        query(database, "INSERT INTO filled VALUES (0)")
    with connect(database) as session:
        session.autocommit = True
        session.execute("SET default_transaction_read_only = off")
        session.execute("TRUNCATE filled")
    add(database, "report", "read", "Read-3")
    database.run("rotate_password")
    database.spec = {**database.spec, "plan": plan}
    database.run("change")
    assert not reading().is_read_only
    query(database, "INSERT INTO filled VALUES (0)")


def test_a_clone_has_every_row_and_its_source_stays_in_use(
    database: Instance, tmp_path: Path
) -> None:
    query(
        database,
        "CREATE TABLE cloned AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 9) n",
    )
    query(database, "CREATE EXTENSION citext")
    source = {"resource_id": database.resource_id, "outputs": database.outputs}
    spec = {"database_name": "fuben", "plan": plan_of("postgresql", "small")}
    copy = Instance(
        "postgresql", database.inventory, tmp_path, spec, "Clone-1", told={"source": source}
    )
    try:
        copy.run("provision")
        everything = "SELECT count(*), sum(hashtext(cloned::text)) FROM cloned"
        assert query(copy, everything) == query(database, everything)
        assert query(copy, "SELECT 'A'::citext = 'a'") == [(True,)]
        query(copy, "DROP TABLE cloned")
        query(database, "INSERT INTO cloned VALUES (0)")
        with pytest.raises(DENIED):
            query(copy, "SET ROLE " + database.outputs["database"])
        copy.told["job_number"] = "J-2"
        copy.told["source"] = {**source, "outputs": {**database.outputs, "database": "nowhere"}}
        assert "nowhere" in copy.fails("provision", {})
        assert query(copy, "SELECT 1") == [(1,)], "what is there is touched last"
    finally:
        copy.run("retire")
    assert left_of(copy) == []
