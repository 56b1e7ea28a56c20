"""Backups on the real shared PostgreSQL: taken, lost, restored, proven, by real plays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest
import sqlalchemy as sa

from controlplane.backups.models import Backup, RestoreDrill
from controlplane.config import CHECKOUT
from controlplane.credentials.keyring import Keyring
from controlplane.provisioning.models import Job
from tests.integration.live_city import end_live_city
from tests.lab.servers.shared_city import (
    SharedCity,
    ask,
    left_on,
    make_shared_city,
    order,
    server_of,
    uri,
)

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.databases.plugins.plugin_utils import exchanges
from ansible_collections.egov.databases.plugins.plugin_utils.exchanges import Place
from ansible_collections.egov.databases.plugins.plugin_utils.measures import (
    begin_unchanged,
    measure,
    prepare,
    rows_of,
)
from ansible_collections.egov.databases.plugins.plugin_utils.scratch import (
    drop_scratch,
    make_scratch_role,
)
from ansible_collections.egov.databases.plugins.plugin_utils.servers import Server, statement

NAME = "低保核对数据库"
ROWS = 20_000
SUM = "SELECT count(*), sum(hashtext(household::text)) FROM household"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Iterator[SharedCity]:
    folder = tmp_path_factory.mktemp("backups")
    city = make_shared_city(folder, inventory, job_attempts_max=1, backup_store=folder / "store")
    yield city
    city.retire_all("postgresql")
    city.assert_nothing_is_left()
    end_live_city(city)
    assert left_on(inventory) == []


@pytest.fixture(scope="module")
def source(city: SharedCity, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A delivered database with rows of many kinds in it."""
    resource_id = city.fulfilled(order(city))
    with psycopg.connect(uri(city, tmp_path_factory.mktemp("source"), resource_id)) as connection:
        connection.execute(
            "CREATE TABLE household AS SELECT n AS id, md5(n::text) AS note, n / 7.0 AS share, "
            "now() AS at, jsonb_build_object('n', n) AS more FROM generate_series(1, %s) n",
            [ROWS],
        )
        connection.execute("ALTER TABLE household ADD PRIMARY KEY (id)")
        connection.execute("CREATE VIEW all_of_it AS TABLE household")
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute("SELECT lo_from_bytea(0, 'scan')")
    return resource_id


def backups(city: SharedCity, resource_id: str) -> list[Backup]:
    with city.control_plane.db.read() as session:
        rows = sa.select(Backup).where(Backup.resource_id == resource_id).order_by(Backup.id)
        return list(session.scalars(rows))


def backup(city: SharedCity, resource_id: str) -> Backup:
    """A backup taken now; it must be a good one."""
    recovery = city.control_plane.recovery
    number = recovery.back_up_now(city.person("limin"), resource_id)
    ended(city)
    found = next(b for b in backups(city, resource_id) if b.number == number)
    assert found.state == "kept", found.error
    return found


def newest_kept(city: SharedCity, resource_id: str) -> Backup:
    return [b for b in backups(city, resource_id) if b.state == "kept"][-1]


def ended(city: SharedCity) -> None:
    city.worker.wake()
    city.idle()


def newest_job(city: SharedCity, action: str) -> Job:
    return city.jobs(action=action)[-1]


def archive(city: SharedCity, found: Backup) -> Path:
    return city.control_plane.settings.backups_dir / found.location


def files(city: SharedCity) -> list[Path]:
    return [p for p in city.control_plane.settings.backups_dir.rglob("*") if p.is_file()]


def test_a_dropped_table_comes_back_in_a_new_instance_and_under_the_old_address(
    city: SharedCity, source: str, tmp_path: Path
) -> None:
    address = uri(city, tmp_path, source)
    before = ask(address, SUM)
    taken = backup(city, source)
    assert taken.manifest["tables"]["public.household"]["rows"] == ROWS
    assert b"household" not in archive(city, taken).read_bytes()
    ask(address, "DROP TABLE household CASCADE; CREATE TABLE written_since (id int)")

    fresh = city.fulfilled(order(city, restore_from=taken.number))
    fresh_address = uri(city, tmp_path, fresh)
    assert ask(fresh_address, SUM) == before
    assert ask(fresh_address, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    assert ask(address, "SELECT count(*) FROM written_since") == [(0,)], "the source is untouched"

    city.control_plane.recovery.exchange(city.person("limin"), source, fresh, NAME)
    ended(city)
    assert newest_job(city, "exchange").state == "succeeded", city.told()
    assert ask(address, SUM) == before
    ask(address, "INSERT INTO household (id) VALUES (0); ALTER TABLE household ADD seen boolean")
    assert ask(fresh_address, "SELECT count(*) FROM written_since") == [(0,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(fresh_address, "TABLE household")
    city.operate(source, "rotate_password")
    assert ask(uri(city, tmp_path, source), "SELECT count(*) FROM household") == [(ROWS + 1,)]


def test_a_restore_in_place_keeps_what_was_there_as_a_backup(
    city: SharedCity, source: str, tmp_path: Path
) -> None:
    address = uri(city, tmp_path, source)
    before = ask(address, SUM)
    taken = backup(city, source)
    ask(address, "DELETE FROM household")
    recovery = city.control_plane.recovery
    recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    ended(city)
    assert newest_job(city, "restore").state == "succeeded", city.told()
    assert ask(address, SUM) == before
    assert backups(city, source)[-1].manifest["tables"]["public.household"]["rows"] == 0


def test_a_broken_archive_or_a_wrong_key_is_refused_before_anything_is_touched(
    city: SharedCity, source: str, tmp_path: Path
) -> None:
    address = uri(city, tmp_path, source)
    taken = newest_kept(city, source)
    before = ask(address, SUM)
    whole = archive(city, taken).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    archive(city, taken).write_bytes(flipped)
    city.control_plane.recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    ended(city)
    assert "not the one that was taken" in newest_job(city, "restore").error
    assert ask(address, SUM) == before

    archive(city, taken).write_bytes(whole)
    strange = str(pyrage.x25519.Identity.generate())
    with city.control_plane.db.transaction() as session:
        row = session.get_one(Backup, taken.id)
        keyring = Keyring(city.control_plane.settings.credential_keys)
        row.sealed_key = keyring.seal(source, taken.number, strange)
    city.control_plane.recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    ended(city)
    assert "does not open its archive" in newest_job(city, "restore").error
    assert strange not in newest_job(city, "restore").error
    assert ask(address, SUM) == before


def test_a_full_store_fails_clearly_and_leaves_no_half_archive(
    city: SharedCity, source: str
) -> None:
    settings = city.control_plane.delivery.settings
    before = files(city)
    city.control_plane.delivery.settings = settings.model_copy(
        update={"backup_store_reserve_mib": 1 << 40}
    )
    try:
        city.control_plane.recovery.back_up_now(city.person("limin"), source)
        ended(city)
    finally:
        city.control_plane.delivery.settings = settings
    failed = backups(city, source)[-1]
    assert failed.state == "failed"
    assert "make room" in failed.error
    assert files(city) == before


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


def test_a_drill_proves_a_backup_and_leaves_nothing(
    city: SharedCity, source: str, inventory: Path
) -> None:
    taken = newest_kept(city, source)
    before = left_on(inventory)
    city.control_plane.recovery.drill_now(city.person("chengang"), source)
    ended(city)
    with city.control_plane.db.read() as session:
        drill = session.scalars(sa.select(RestoreDrill)).one()
    assert (drill.result, drill.backup_id, drill.difference) == ("passed", taken.id, "")
    assert drill.rows_compared == taken.manifest["rows"]
    assert drill.recovery_time_seconds is not None
    assert 0 < drill.recovery_time_seconds < 30
    assert drill.recovery_point_seconds is not None
    assert drill.recovery_point_seconds < 600
    assert left_on(inventory) == before


def test_the_last_backup_of_a_destroyed_database_is_restored_and_then_really_deleted(
    city: SharedCity, source: str, tmp_path: Path
) -> None:
    before = ask(uri(city, tmp_path, source), SUM)
    city.control_plane.operations.retire_now(city.person("chengang"), source, NAME)
    ended(city)
    assert city.resource(source).state == "retired", city.told()
    last = backups(city, source)[-1]
    assert (last.kind, last.state) == ("last", "kept")
    again = city.fulfilled(order(city, restore_from=last.number))
    assert ask(uri(city, tmp_path, again), SUM) == before
    assert archive(city, last).exists()
    city.clock.advance(days=31)
    assert city.control_plane.custody.delete_expired() > 0
    assert not any(archive(city, found).exists() for found in backups(city, source))
    assert backups(city, source)[-1].state == "deleted"
    written = (p for p in city.control_plane.settings.jobs_dir.rglob("*") if p.is_file())
    assert not any("AGE-SECRET" in p.read_text(errors="replace") for p in written)
