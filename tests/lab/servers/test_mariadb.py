"""Databases on the real shared MariaDB, used by real clients, and taken away again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql
import pytest

from controlplane.config import CHECKOUT
from tests.lab.servers.shared_roles import ODD_PASSWORD, Instance, plan_of

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_restores import loading
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import MariaServer

LIMIT = "SELECT @@max_statement_time"


def connect(
    server: Mapping[str, Any], user: str, password: str, database: str | None, **changes: Any
) -> Any:
    reached = {
        "host": server["service_address"],
        "port": server["service_port"],
        "user": user,
        "password": password,
        "database": database,
        "autocommit": True,
        "ssl_ca": server["service_ca_file"],
        "ssl_verify_cert": True,
        "ssl_verify_identity": True,
        **changes,
    }
    return pymysql.connect(**reached)


def ask(connection: Any, query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def of(instance: Instance) -> Any:
    outputs = instance.outputs
    return connect(instance.server, outputs["username"], instance.password, outputs["database"])


def instance(inventory: Path, folder: Path, password: str) -> Instance:
    spec = {"database_name": "dibao", "plan": plan_of("mariadb", "small")}
    made = Instance("mariadb", inventory, folder, spec, password)
    assert made.run("provision") > 0
    return made


@pytest.mark.brief
def test_two_departments_from_order_to_the_end(inventory: Path, tmp_path: Path) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server = ours.server
    mine = of(ours)
    ask(mine, "CREATE TABLE household (id int)")
    ask(mine, "INSERT INTO household VALUES (1)")
    ask(of(theirs), "CREATE TABLE secret (id int)")
    database = theirs.outputs["database"]
    for attempt in (
        f"SELECT * FROM {database}.secret",  # noqa: S608 - no input
        f"INSERT INTO {database}.secret VALUES (1)",  # noqa: S608
        f"CREATE TABLE {database}.mine (id int)",
        f"DROP DATABASE {database}",
        "SELECT * FROM mysql.global_priv",
        "CREATE USER stranger",
        # A pattern of a grant would reach this one if its `_` were not escaped.
        f"CREATE DATABASE {ours.outputs['database'].replace('_', 'x')}",
    ):
        with pytest.raises(pymysql.MySQLError, match=r"(?i)denied"):
            ask(mine, attempt)
    listed = {name for (name,) in ask(mine, "SHOW DATABASES")}
    assert listed == {ours.outputs["database"], "information_schema"}
    user, name = ours.outputs["username"], ours.outputs["database"]
    with pytest.raises(pymysql.OperationalError, match="denied"):
        connect(server, user, "wrong", name)
    with pytest.raises(pymysql.OperationalError, match=r"(?i)denied|transport"):
        connect(server, user, ours.password, name, ssl_ca=None, ssl_disabled=True)

    assert ours.run("provision") == 0, "a second run changes nothing"
    ours.spec = {**ours.spec, "plan": plan_of("mariadb", "standard")}
    ours.run("change")
    with of(ours) as changed:
        assert ask(changed, "SELECT @@max_user_connections") == [(60,)]

    ours.run("power_off")
    with pytest.raises(pymysql.MySQLError):
        ask(mine, "SELECT 1")
    with pytest.raises(pymysql.OperationalError, match="max_user_connections"):
        of(ours)
    ours.run("power_on")

    old, old_password = ours.outputs["username"], ours.password
    ours.password = "new'$ecret\\"
    ours.run("rotate_password")
    for password, account in ((old_password, old), (ours.password, ours.outputs["username"])):
        assert ask(connect(server, account, password, name), "SELECT id FROM household") == [(1,)]
    ours.run("end_old_password")
    with pytest.raises(pymysql.OperationalError, match="locked"):
        connect(server, old, old_password, name)

    admin = connect(server, server["service_admin_user"], server["password"], "mysql")
    for one in (ours, theirs):
        one.run("retire")
        left = one.outputs["database"]
        assert ask(admin, f"SELECT User FROM user WHERE User LIKE '{left}%'") == []  # noqa: S608
        assert ask(admin, f"SHOW DATABASES LIKE '{left}'") == []


def test_further_accounts_read_or_write_and_go_with_the_instance(
    inventory: Path, tmp_path: Path
) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server, name = ours.server, ours.outputs["database"]
    ask(of(ours), "CREATE TABLE household (id int)")
    ask(of(ours), "INSERT INTO household VALUES (1)")

    ours.run("add_account", {"account": "report", "rights": "read"}, "read'er")
    ours.run("add_account", {"account": "intake", "rights": "write"}, "in-take")
    assert [a["name"] for a in ours.outputs["accounts"]] == ["report", "intake"]
    reader = connect(server, f"{name}_report", "read'er", name)
    assert ask(reader, "SELECT id FROM household") == [(1,)]
    for attempt in ("INSERT INTO household VALUES (2)", "CREATE TABLE mine (id int)"):
        with pytest.raises(pymysql.MySQLError, match=r"(?i)denied"):
            ask(reader, attempt)
    with pytest.raises(pymysql.OperationalError, match=r"(?i)denied"):
        connect(server, f"{name}_report", "read'er", theirs.outputs["database"])
    writer = connect(server, f"{name}_intake", "in-take", name)
    ask(writer, "CREATE VIEW poor AS SELECT id FROM household")

    ours.run("account_password", {"account_there": "report"}, "newer")
    with pytest.raises(pymysql.OperationalError, match=r"(?i)denied"):
        connect(server, f"{name}_report", "read'er", name)
    reader = connect(server, f"{name}_report", "newer", name)

    ours.run("power_off")
    with pytest.raises(pymysql.MySQLError):
        ask(reader, "SELECT 1")
    with pytest.raises(pymysql.OperationalError, match="max_user_connections"):
        connect(server, f"{name}_report", "newer", name)
    ours.run("power_on")
    connect(server, f"{name}_report", "newer", name).close()

    ours.run("remove_account", {"account_there": "intake"})
    assert [a["name"] for a in ours.outputs["accounts"]] == ["report"]
    with pytest.raises(pymysql.MySQLError):
        ask(writer, "SELECT 1")
    with pytest.raises(pymysql.OperationalError, match="locked"):
        connect(server, f"{name}_intake", "in-take", name)
    assert ask(of(ours), "SELECT id FROM poor") == [(1,)], "what it made runs in its name"
    ours.run("add_account", {"account": "intake", "rights": "read"}, "again")
    again = connect(server, f"{name}_intake", "again", name)
    with pytest.raises(pymysql.MySQLError, match=r"(?i)denied"):
        ask(again, "INSERT INTO household VALUES (3)")

    admin = connect(server, server["service_admin_user"], server["password"], "mysql")
    for one in (ours, theirs):
        one.run("retire")
        left = one.outputs["database"]
        assert ask(admin, f"SELECT User FROM user WHERE User LIKE '{left}%'") == []  # noqa: S608
        assert ask(admin, f"SHOW DATABASES LIKE '{left}'") == []


def test_a_statement_s_time_is_limited_for_its_accounts_and_not_for_the_platform_s_work(
    inventory: Path, tmp_path: Path
) -> None:
    ours = instance(inventory, tmp_path, ODD_PASSWORD)
    theirs = instance(inventory, tmp_path, "another-secret")
    server, name = ours.server, ours.outputs["database"]
    before = of(ours)
    ours.run("add_account", {"account": "report", "rights": "read"}, "read'er")
    ours.run("set_statement_limit", {"statement_timeout_s": 1})
    assert ours.outputs["parameters"] == {"statement_timeout_s": 1}
    reader = connect(server, f"{name}_report", "read'er", name)
    for limited in (of(ours), reader):
        with pytest.raises(pymysql.OperationalError, match="max_statement_time exceeded"):
            ask(limited, "SELECT SLEEP(5)")
        assert ask(limited, "SELECT 1") == [(1,)], "the connection stays"
    for free in (before, of(theirs)):
        assert ask(free, LIMIT) == [(0,)], "made before, or another department's"
    assert ours.run("provision") == 0, "a second run changes nothing"

    ours.password = "new'$ecret\\"
    ours.run("rotate_password")
    ours.run("add_account", {"account": "intake", "rights": "write"}, "in-take")
    ours.run("power_off")
    ours.run("power_on")
    other = {"resource_id": theirs.resource_id, "outputs": theirs.outputs, "spec": theirs.spec}
    ours.told = {"related": {"other": other}}
    ours.run("exchange")
    intake = connect(server, f"{name}_intake", "in-take", name)
    for limited in (of(ours), intake):
        assert ask(limited, LIMIT) == [(1,)]
    assert ask(of(theirs), LIMIT) == [(0,)]
    assert loads_with(ours) == "0.000000\t0\n"

    said = ours.fails("set_statement_limit", {"lock_timeout_s": "long"})
    assert "lock_timeout_s" in said
    assert ask(of(ours), LIMIT) == [(1,)]
    ours.run("set_statement_limit", {"statement_timeout_s": 0})
    assert ask(of(ours), "SELECT SLEEP(1.1)") == [(0,)]
    for one in (ours, theirs):
        one.run("retire")


def loads_with(instance: Instance) -> str:
    """The limits that hold for the program by which a backup is restored as the main account."""
    server, outputs = MariaServer.of(instance.server), instance.outputs
    loader = server.as_account(outputs["username"], instance.password)
    done = subprocess.run(
        [*loading(loader, outputs["database"]), "--skip-column-names"],
        input="SELECT @@max_statement_time, @@idle_transaction_timeout;",
        env={**os.environ, **loader.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
