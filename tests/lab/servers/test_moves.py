"""Databases that change places, and are read while others write: on the real shared servers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pyrage
import pytest

from controlplane.config import CHECKOUT
from tests.lab.servers import shared_roles
from tests.lab.servers.shared_city import server_of

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils import (
    exchanges,
    mariadb_clones,
    mariadb_dumps,
    mariadb_exchanges,
    mariadb_moves,
    mariadb_restores,
)
from ansible_collections.egov.databases.plugins.plugin_utils.archives import ArchiveError
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import Place
from ansible_collections.egov.databases.plugins.plugin_utils.manifests import rows_of
from ansible_collections.egov.databases.plugins.plugin_utils.mariadb_servers import (
    MariaServer,
    account,
    drop,
    make_account,
    pattern,
)
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    begin_unchanged,
    measure,
    prepare,
)
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import (
    drop_scratch,
    make_scratch_role,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement


def test_what_the_manifest_counts_cannot_be_emptied_under_the_dump(inventory: Path) -> None:
    server = Server.of(server_of(inventory))
    name = "dibao_x3"
    drop_scratch(server, [name], [])
    with server.connect() as connection:
        connection.execute(statement("CREATE DATABASE {}", name))
    try:
        with server.connect(name) as other, server.connect(name) as taking:
            other.execute("CREATE TABLE household AS SELECT generate_series(1, 100) AS id")
            prepare(taking)
            begin_unchanged(taking, lock_patience_ms=1000)
            assert rows_of(measure(taking)) == 100
            other.execute("INSERT INTO household VALUES (0)")
            other.execute("SET lock_timeout = 200")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("TRUNCATE household")
            assert rows_of(measure(taking)) == 100
            taking.execute("COMMIT")
            other.execute("TRUNCATE household")
    finally:
        drop_scratch(server, [name], [])


def test_an_exchange_ended_half_way_is_finished_by_the_next_try(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the names have changed and before the owners have: nobody can get in, and the
    same job again brings both in order, once."""
    server = Server.of(server_of(inventory))
    left, right = (
        Place(name, name, (f"{name}_a", f"{name}_b"), 20, f"egov {name}")
        for name in ("dibao_x1", "dibao_x2")
    )
    with server.connect() as connection:
        for place in (left, right):
            connection.execute(statement("CREATE ROLE {}", place.owner))
            make_scratch_role(server, place.accounts[0], "Half-way-1")
            connection.execute(statement("GRANT {} TO {}", place.owner, place.accounts[0]))
            connection.execute(
                statement("CREATE DATABASE {} OWNER {}", place.database, place.owner)
            )

    def found(place: Place) -> tuple[Any, ...]:
        account = server.as_account(place.accounts[0], "Half-way-1")
        with account.connect(place.database) as session:
            session.execute("INSERT INTO mine SELECT 1")
            rows = session.execute(
                "SELECT obj_description('mine'::regclass), pg_get_userbyid(relowner) "
                "FROM pg_class WHERE relname = 'mine'"
            )
            return tuple(rows.fetchall()[0])

    try:
        for place in (left, right):
            with server.connect(place.database) as connection:
                connection.execute("CREATE TABLE mine (id int)")
                connection.execute(f"COMMENT ON TABLE mine IS '{place.database}'")
                connection.execute(statement("ALTER TABLE mine OWNER TO {}", place.owner))
        with monkeypatch.context() as patched:

            def killed(*_: object) -> None:
                raise SystemExit

            patched.setattr(exchanges, "_hand_over", killed)
            with pytest.raises(SystemExit):
                exchanges.exchange(server, left, right, "J-1")
        with pytest.raises(psycopg.OperationalError, match=r"too many connections|permission"):
            found(left)
        assert not exchanges.exchange(server, left, right, "J-1"), "the names had changed already"
        assert not exchanges.exchange(server, left, right, "J-1")
        assert found(left) == (right.database, left.owner)
        assert found(right) == (left.database, right.owner)
        assert exchanges.exchange(server, left, right, "J-2"), "another job changes them back"
        assert found(left) == (left.database, left.owner)
    finally:
        drop_scratch(
            server,
            [left.database, right.database],
            [left.accounts[0], right.accounts[0], left.owner, right.owner],
        )


# --- MariaDB ------------------------------------------------------------------------------------

LEFT, RIGHT = (
    mariadb_exchanges.Place(name, f"{name}_a", (f"{name}_a", f"{name}_b"), 20)
    for name in ("dibao_m1", "dibao_m2")
)
PASSWORD = "Half-way-1"


@pytest.fixture
def mariadb(inventory: Path) -> Iterator[MariaServer]:
    """The shared server with two databases on it, each with a table and a view of it."""
    server = MariaServer.of(shared_roles.server_of("mariadb", inventory))
    for place in (LEFT, RIGHT):
        make_account(server, place.account, PASSWORD)
        with server.connect() as session:
            session.run(f"CREATE DATABASE {place.database}")
            session.run(f"GRANT ALL ON {pattern(place.database)}.* TO {account(place.account)}")
        with as_department(server, place).connect(place.database) as session:
            session.run("CREATE TABLE mine (name varchar(20) PRIMARY KEY)")
            session.run("INSERT INTO mine VALUES (%s)", place.database)
            session.run("CREATE VIEW seen AS SELECT * FROM mine")
            session.run(
                "CREATE TRIGGER kept BEFORE DELETE ON mine FOR EACH ROW SIGNAL SQLSTATE '45000'"
            )
    yield server
    between = [f"{LEFT.database}_exchange"]
    drop(server, [LEFT.database, RIGHT.database, *between], [LEFT.account, RIGHT.account])


def as_department(server: MariaServer, place: mariadb_exchanges.Place) -> MariaServer:
    return server.as_account(place.account, PASSWORD)


def seen(server: MariaServer, place: mariadb_exchanges.Place) -> list[tuple[Any, ...]]:
    with as_department(server, place).connect(place.database) as session:
        with pytest.raises(pymysql.MySQLError, match=r"45000|Unhandled"):
            session.run("DELETE FROM mine")
        return session.run("SELECT name FROM seen")


@pytest.mark.parametrize("place", ["_write_down", "_drop_made", "_mend_defaults", "_make_again"])
@pytest.mark.parametrize("calls", [1, 2])
def test_an_exchange_in_mariadb_ended_anywhere_is_finished_by_the_next_try(
    mariadb: MariaServer, monkeypatch: pytest.MonkeyPatch, place: str, calls: int
) -> None:
    """Killed before that step of the first database's way, or of the second's."""
    with monkeypatch.context() as patched:
        real, left = getattr(mariadb_moves, place), [calls]

        def killed(*given: Any) -> None:
            left[0] -= 1
            if not left[0]:
                raise SystemExit
            real(*given)

        patched.setattr(mariadb_moves, place, killed)
        with pytest.raises(SystemExit):
            mariadb_exchanges.exchange(mariadb, LEFT, RIGHT, "J-1")
    with pytest.raises(pymysql.OperationalError, match="max_user_connections"):
        seen(mariadb, LEFT)
    assert not mariadb_exchanges.exchange(mariadb, LEFT, RIGHT, "J-1"), "it had begun already"
    assert not mariadb_exchanges.exchange(mariadb, LEFT, RIGHT, "J-1")
    assert seen(mariadb, LEFT) == [(RIGHT.database,)]
    assert seen(mariadb, RIGHT) == [(LEFT.database,)]
    assert mariadb_exchanges.exchange(mariadb, LEFT, RIGHT, "J-12"), "another job changes them back"
    assert seen(mariadb, LEFT) == [(LEFT.database,)]


def test_a_view_of_nothing_stands_in_the_way_before_anything_is_moved(mariadb: MariaServer) -> None:
    with as_department(mariadb, RIGHT).connect(RIGHT.database) as session:
        session.run("CREATE TABLE gone (id int)")
        session.run("CREATE VIEW of_nothing AS SELECT * FROM gone")
        session.run("DROP TABLE gone")
    with pytest.raises(ArchiveError, match="the view of_nothing shows something"):
        mariadb_exchanges.exchange(mariadb, LEFT, RIGHT, "J-1")
    assert seen(mariadb, LEFT) == [(LEFT.database,)]


@contextmanager
def killed(server: MariaServer, user: str) -> Iterator[None]:
    """The server ends the first session of an account, as soon as there is one."""
    stop = threading.Event()

    def kill() -> None:
        with server.connect() as session:
            while not stop.is_set():
                sessions = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s"
                for number in session.names(sessions, user):
                    session.run(f"KILL {number}")
                    return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        stop.set()
        killer.join()


def told(folder: Path) -> dict[str, Any]:
    """What a play that takes a backup, and one that restores it, is given."""
    identity = pyrage.x25519.Identity.generate()
    return {
        "path": str(folder / "B-1.age"),
        "recipient": str(identity.to_public()),
        "identity": str(identity),
        "number": "B-1",
        "reserve_mib": 0,
    }


def test_a_dump_or_a_load_that_the_server_ends_changes_nothing(
    mariadb: MariaServer, tmp_path: Path
) -> None:
    given, restoring = told(tmp_path), f"{LEFT.database}_restoring"
    with mariadb.connect(LEFT.database) as session:
        session.run("INSERT INTO mine SELECT seq FROM seq_1_to_200000")
    dumper = mariadb_dumps.dumper_of(LEFT.database)
    with killed(mariadb, dumper), pytest.raises(ArchiveError, match="mariadb-dump failed"):
        mariadb_dumps.back_up(mariadb, LEFT.database, given)
    assert list(tmp_path.iterdir()) == []

    given["manifest"] = mariadb_dumps.back_up(mariadb, LEFT.database, given)["manifest"]
    loading = (given, restoring, LEFT.account, PASSWORD)
    with killed(mariadb, LEFT.account), pytest.raises(ArchiveError, match="mariadb failed"):
        mariadb_restores.restore(mariadb, *loading)
    with mariadb.connect() as session:
        assert session.run(f"SELECT COUNT(*) FROM {LEFT.database}.mine") == [(200_001,)]  # noqa: S608
    assert mariadb_restores.restore(mariadb, *loading).different == [], "the next try is whole"
    drop(mariadb, [restoring], [])


def test_a_copy_that_the_server_ends_is_whole_at_the_next_try_and_nothing_is_left(
    mariadb: MariaServer,
) -> None:
    with mariadb.connect(LEFT.database) as session:
        session.run("INSERT INTO mine SELECT seq FROM seq_1_to_200000")
    into = f"{RIGHT.database}_restoring"
    copying = (LEFT.database, mariadb, RIGHT.database, into, RIGHT.account, PASSWORD)
    dumper = mariadb_clones.dumper_of(LEFT.database, RIGHT.database)
    for user in (dumper, RIGHT.account):
        with killed(mariadb, user), pytest.raises(ArchiveError, match=r"mariadb(-dump)? failed"):
            mariadb_clones.clone(mariadb, *copying)
    make_account(mariadb, dumper, "of a run that was killed")
    copied = mariadb_clones.clone(mariadb, *copying)
    assert (copied.different, copied.rows) == ([], 200_001)
    with mariadb.connect() as session:
        assert session.names("SELECT User FROM mysql.user WHERE User LIKE '%%clone%%'") == []
        assert session.run(f"SELECT COUNT(*) FROM {LEFT.database}.mine") == [(200_001,)]  # noqa: S608
    drop(mariadb, [into], [])


def statuses(server: MariaServer, database: str) -> dict[str, str]:
    query = "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
    with server.connect() as session:
        return dict(session.run(query, database))  # type: ignore[arg-type]


def test_events_sleep_in_a_copy_until_it_takes_its_place(mariadb: MariaServer) -> None:
    with as_department(mariadb, LEFT).connect(LEFT.database) as session:
        session.run(
            "CREATE EVENT often ON SCHEDULE EVERY 1 SECOND DO INSERT INTO mine SELECT UUID()"
        )
        session.run("CREATE EVENT `some day` ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
    into = f"{RIGHT.database}_restoring"
    copying = (LEFT.database, mariadb, RIGHT.database, into, RIGHT.account, PASSWORD)
    assert mariadb_clones.clone(mariadb, *copying).different == []
    assert statuses(mariadb, into) == {"often": "SLAVESIDE_DISABLED", "some day": "DISABLED"}
    assert mariadb_exchanges.take_place(mariadb, RIGHT, into, "J-1")
    assert statuses(mariadb, RIGHT.database) == {"often": "ENABLED", "some day": "DISABLED"}


def test_a_backup_counts_what_it_dumps_while_others_write(
    mariadb: MariaServer, tmp_path: Path
) -> None:
    """Rows come in all the time: what is restored has as many as the manifest says."""
    stop, given = threading.Event(), told(tmp_path)

    def write() -> None:
        with as_department(mariadb, LEFT).connect(LEFT.database) as session:
            number = 0
            while not stop.is_set():
                number += 1
                session.run("INSERT INTO mine VALUES (%s)", str(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = mariadb_dumps.back_up(mariadb, LEFT.database, given)
    finally:
        stop.set()
        writer.join()
    restored = mariadb_restores.restore(
        mariadb, {**given, "manifest": taken["manifest"]}, LEFT.database, LEFT.account, PASSWORD
    )
    assert (restored.different, restored.rows) == ([], taken["manifest"]["rows"])
    assert restored.rows > 1
