"""Backups on the real shared PostgreSQL and MariaDB: taken, lost, restored, proven by plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from controlplane.backups.models import Backup
from controlplane.credentials.keyring import Keyring
from tests.integration.live_city import end_live_city
from tests.lab.servers.backed_city import (
    Way,
    backup,
    backups,
    drill_of,
    ended,
    newest_job,
    newest_kept,
)
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order

NAME = "低保核对数据库"
ROWS = 20_000


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Iterator[SharedCity]:
    folder = tmp_path_factory.mktemp("backups")
    city = make_shared_city(folder, inventory, job_attempts_max=1, backup_store=folder / "store")
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
    """A delivered database with rows of many kinds in it."""
    resource_id = city.fulfilled(order(city, service=engine.service))
    way.fill(resource_id, ROWS)
    return resource_id


def archive(city: SharedCity, found: Backup) -> Path:
    return city.control_plane.settings.backups_dir / found.location


def files(city: SharedCity) -> list[Path]:
    return [p for p in city.control_plane.settings.backups_dir.rglob("*") if p.is_file()]


@pytest.mark.brief
def test_a_dropped_table_comes_back_in_a_new_instance_and_under_the_old_address(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    before = way.total(source)
    taken = backup(city, source)
    assert taken.manifest["tables"][engine.in_manifest]["rows"] == ROWS
    assert b"household" not in archive(city, taken).read_bytes()
    way.ask(source, f"{engine.drop}; CREATE TABLE written_since (id int)")

    fresh = city.fulfilled(order(city, service=engine.service, restore_from=taken.number))
    assert way.total(fresh) == before
    assert way.ask(fresh, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    assert way.ask(source, "SELECT count(*) FROM written_since") == [(0,)], "it is untouched"

    city.control_plane.recovery.exchange(city.person("limin"), source, fresh, NAME)
    ended(city)
    assert newest_job(city, "exchange").state == "succeeded", city.told()
    assert way.total(source) == before
    assert way.ask(source, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    way.ask(source, "INSERT INTO household (id) VALUES (0); ALTER TABLE household ADD seen boolean")
    assert way.ask(fresh, "SELECT count(*) FROM written_since") == [(0,)]
    with pytest.raises(engine.gone):
        way.ask(fresh, "SELECT * FROM household")
    city.operate(source, "rotate_password")
    assert way.ask(source, "SELECT count(*) FROM household") == [(ROWS + 1,)]


def test_a_restore_in_place_keeps_what_was_there_as_a_backup(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    before = way.total(source)
    taken = backup(city, source)
    way.ask(source, "DELETE FROM household")
    recovery = city.control_plane.recovery
    recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    ended(city)
    assert newest_job(city, "restore").state == "succeeded", city.told()
    assert way.total(source) == before
    assert backups(city, source)[-1].manifest["tables"][engine.in_manifest]["rows"] == 0


def test_a_clone_has_every_row_while_its_source_is_in_use_and_backed_up(
    city: SharedCity, engine: Backed, source: str, way: Way, inventory: Path
) -> None:
    before = way.total(source)
    number = city.resource(source).number
    copies = [order(city, service=engine.service, clone_of=number) for _ in range(2)]
    backup(city, source)
    first, second = [city.fulfilled(request_id) for request_id in copies]
    assert way.total(first) == way.total(second) == before
    assert way.ask(first, "SELECT count(*) FROM all_of_it") == before_count(before)
    way.ask(first, "DELETE FROM household")
    assert way.total(source) == way.total(second) == before
    assert not [name for name in engine.left_on(inventory) if "clone" in name or "dump" in name]
    for each in (first, second):
        city.control_plane.operations.retire_now(city.person("chengang"), each, NAME)
    ended(city)


def before_count(total: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(total[0][0],)]


@pytest.mark.brief
def test_a_broken_archive_or_a_wrong_key_is_refused_before_anything_is_touched(
    city: SharedCity, source: str, way: Way
) -> None:
    taken = newest_kept(city, source)
    before = way.total(source)
    whole = archive(city, taken).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    archive(city, taken).write_bytes(flipped)
    city.control_plane.recovery.restore_in_place(city.person("limin"), source, taken.number, NAME)
    ended(city)
    assert "not the one that was taken" in newest_job(city, "restore").error
    assert way.total(source) == before

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
    assert way.total(source) == before


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


def test_a_drill_proves_a_backup_and_leaves_nothing(
    city: SharedCity, engine: Backed, source: str, inventory: Path
) -> None:
    taken = newest_kept(city, source)
    before = engine.left_on(inventory)
    city.control_plane.recovery.drill_now(city.person("chengang"), source)
    ended(city)
    drill = drill_of(city, source)
    assert (drill.result, drill.backup_id, drill.difference) == ("passed", taken.id, "")
    assert drill.rows_compared == taken.manifest["rows"]
    assert drill.recovery_time_seconds is not None
    assert 0 < drill.recovery_time_seconds < 30
    assert drill.recovery_point_seconds is not None
    assert drill.recovery_point_seconds < 600
    assert engine.left_on(inventory) == before


def test_the_last_backup_of_a_destroyed_database_is_restored_and_then_really_deleted(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    before = way.total(source)
    city.control_plane.operations.retire_now(city.person("chengang"), source, NAME)
    ended(city)
    assert city.resource(source).state == "retired", city.told()
    last = backups(city, source)[-1]
    assert (last.kind, last.state) == ("last", "kept")
    again = city.fulfilled(order(city, service=engine.service, restore_from=last.number))
    assert way.total(again) == before
    assert archive(city, last).exists()
    city.clock.advance(days=31)
    assert city.control_plane.custody.delete_expired() > 0
    assert not any(archive(city, found).exists() for found in backups(city, source))
    assert backups(city, source)[-1].state == "deleted"
    city.clock.advance(days=-31)  # the servers' own clocks have stayed, and the next engine follows
    written = (p for p in city.control_plane.settings.jobs_dir.rglob("*") if p.is_file())
    assert not any("AGE-SECRET" in p.read_text(errors="replace") for p in written)
