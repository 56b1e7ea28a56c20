"""Any moment of a database on the real shared PostgreSQL and MariaDB: the log archived, a moment
taken out."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from controlplane.backups.models import LogArchive
from controlplane.errors import InvalidInput
from controlplane.provisioning.models import Job
from tests.integration.live_city import end_live_city, wait_for
from tests.lab.servers import shared_roles, test_mariadb
from tests.lab.servers.backed_city import Way, backups, ended, newest_job
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import (
    SharedCity,
    make_shared_city,
    order,
    server_of,
    shown,
)

NAME = "低保核对数据库"
ROWS = 5_000


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, inventory: Path) -> Iterator[SharedCity]:
    folder = tmp_path_factory.mktemp("moments")
    city = make_shared_city(folder, inventory, job_attempts_max=1, backup_store=folder / "store")
    yield city
    city.retire_all("postgresql", "mariadb")
    city.assert_nothing_is_left()
    end_live_city(city)
    with administrator(inventory) as connection:
        for archive in archives(city):
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                "WHERE slot_name = %s",
                [f"egov_{archive.chain}"],
            )
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
    """A delivered database with rows of many kinds in it, and a log that is archived since."""
    resource_id = city.fulfilled(order(city, service=engine.service))
    archived(city)
    way.fill(resource_id, ROWS)
    return resource_id


def administrator(inventory: Path) -> psycopg.Connection[tuple[object, ...]]:
    server = server_of(inventory)
    return psycopg.connect(
        host=server["service_address"],
        port=server["service_port"],
        user=server["service_admin_user"],
        password=Path(server["service_admin_password_file"]).read_text().strip(),
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=server["service_ca_file"],
        autocommit=True,
    )


def archives(city: SharedCity) -> list[LogArchive]:
    with city.control_plane.db.read() as session:
        return list(session.scalars(sa.select(LogArchive).order_by(LogArchive.began_at)))


def archived(city: SharedCity) -> None:
    """Of both servers."""
    assert city.ticks.archive_logs() == 2, [archive.error for archive in archives(city)]


def archive_of(city: SharedCity, engine: Backed) -> LogArchive:
    """The newest of its server."""
    return [a for a in archives(city) if a.server == f"shared_{engine.service}"][-1]


def now_on(way: Way, resource_id: str) -> datetime:
    return way.engine.now(lambda query: way.ask(resource_id, query))


def taken(city: SharedCity, resource_id: str, moment: datetime) -> Job:
    recovery = city.control_plane.recovery
    recovery.back_up_moment(city.person("limin"), resource_id, moment)
    ended(city)
    assert list(Path(tempfile.gettempdir()).glob("egov-moment-*")) == []
    return newest_job(city, "backup")


def test_what_there_was_at_a_moment_comes_back_though_all_of_it_was_lost_since(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    theirs = city.fulfilled(order(city, "zhaoguodong", service=engine.service))
    for statement in engine.fill:
        texts = shown(city, theirs, "zhaoguodong")
        engine.ask(texts, way.folder, statement.replace("{rows}", "9"))
    before = way.total(source)
    moment = now_on(way, source)
    way.ask(source, "UPDATE household SET note = 'lost'")
    way.ask(source, f"{engine.drop}; CREATE TABLE written_since (id int)")
    archived(city)

    assert taken(city, source, moment).state == "succeeded", city.told()
    backup = backups(city, source)[-1]
    assert (backup.kind, backup.state, backup.taken_at) == ("moment", "kept", moment)
    assert backup.manifest["tables"][engine.in_manifest]["rows"] == ROWS
    fresh = city.fulfilled(order(city, service=engine.service, restore_from=backup.number))
    assert way.total(fresh) == before
    assert way.ask(fresh, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    assert way.ask(source, "SELECT count(*) FROM written_since") == [(0,)], "it is untouched"


def test_a_moment_after_two_have_changed_data_is_had_too(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    """What lies under a name since was in the other database as the base was taken."""
    recovery, limin = city.control_plane.recovery, city.person("limin")
    other = city.fulfilled(order(city, service=engine.service))
    way.fill(other, 7)
    before = way.total(other)
    recovery.exchange(limin, source, other, NAME)
    ended(city)
    assert newest_job(city, "exchange").state == "succeeded", city.told()
    assert way.total(source) == before
    moment = now_on(way, source)
    way.ask(source, "UPDATE household SET note = 'lost'")
    archived(city)
    assert taken(city, source, moment).state == "succeeded", city.told()
    number = backups(city, source)[-1].number
    recovery.restore_in_place(limin, other, number, NAME)
    ended(city)
    assert newest_job(city, "restore").state == "succeeded", city.told()
    assert way.total(other) == before
    way.ask(source, f"{engine.drop}; CREATE TABLE written_since (id int)")


def test_in_the_store_nothing_of_it_can_be_read(
    city: SharedCity, engine: Backed, source: str
) -> None:
    assert source
    archive = archive_of(city, engine)
    folder = city.control_plane.settings.backups_dir / "logs" / archive.chain
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".json"]
    assert len(files) > 2
    for file in files:
        assert file.read_bytes().startswith(b"age-encryption.org/v1"), file
        assert file.stat().st_mode & 0o077 == 0
    assert archive.size_bytes > sum(file.stat().st_size for file in files) * 0.9


def test_a_moment_that_cannot_be_had_is_told_with_those_that_can(
    city: SharedCity, source: str, way: Way
) -> None:
    recovery, limin = city.control_plane.recovery, city.person("limin")
    for moment in (
        city.resource(source).created_at - timedelta(hours=1),
        now_on(way, source) + timedelta(hours=1),
    ):
        with pytest.raises(InvalidInput) as refused:
            recovery.back_up_moment(limin, source, moment)
        assert [fault.code for fault in refused.value.faults] == ["moment_outside"]


def test_where_the_log_is_damaged_the_job_says_so_and_leaves_nothing(
    city: SharedCity, engine: Backed, source: str, way: Way
) -> None:
    way.ask(source, "INSERT INTO written_since VALUES (1)")
    moment = now_on(way, source)
    archived(city)
    archive = archive_of(city, engine)
    segments = (city.control_plane.settings.backups_dir / "logs" / archive.chain / "wal").iterdir()
    newest = max(segments, key=lambda file: file.name)
    whole = newest.read_bytes()
    newest.write_bytes(whole[:-40])
    job = taken(city, source, moment)
    assert (job.state, "is damaged" in job.error) == ("failed", True), job.error
    newest.write_bytes(whole)
    assert taken(city, source, moment).state == "succeeded", city.told()


def test_what_a_killed_run_has_left_of_a_moment_goes_with_the_next(
    city: SharedCity, source: str, way: Way
) -> None:
    left = Path(tempfile.gettempdir()) / "egov-moment-J-20260101-0001"
    (left / "data").mkdir(parents=True)
    (left / "in_use").touch()
    (left / "data" / "household").write_text("a department's rows")
    moment = now_on(way, source)
    archived(city)
    assert taken(city, source, moment).state == "succeeded", city.told()
    assert not left.exists()


def loses_its_log(inventory: Path, archive: LogArchive) -> None:
    if archive.server == "shared_postgresql":
        with administrator(inventory) as connection:
            connection.execute("SELECT pg_drop_replication_slot(%s)", [f"egov_{archive.chain}"])
        return
    server = shared_roles.server_of("mariadb", inventory)
    user, password = server["service_admin_user"], server["password"]
    with test_mariadb.connect(server, user, password, None) as connection:
        for _ in range(2):
            test_mariadb.ask(connection, "FLUSH BINARY LOGS")
        ((current, *_),) = test_mariadb.ask(connection, "SHOW MASTER STATUS")

        def is_purged() -> bool | None:
            """It waits for what is still being written of the data that a file tells."""
            test_mariadb.ask(connection, f"PURGE BINARY LOGS TO '{current}'")
            return len(test_mariadb.ask(connection, "SHOW BINARY LOGS")) == 1 or None

        wait_for(is_purged, "the end of its log")


def test_a_server_that_no_longer_has_the_log_begins_a_new_chain(
    city: SharedCity, engine: Backed, source: str, way: Way, inventory: Path
) -> None:
    first = archive_of(city, engine)
    loses_its_log(inventory, first)
    assert city.ticks.archive_logs() == 1, "the other's"
    city.clock.advance(seconds=1)
    archived(city)
    second = archive_of(city, engine)
    assert second.reached_at is not None
    (ended_first,) = [a for a in archives(city) if a.chain == first.chain]
    assert ended_first.ended_at is not None
    assert re.search("is lost|is not there any more", ended_first.error)
    moment = now_on(way, source)
    archived(city)
    assert taken(city, source, moment).state == "succeeded", city.told()
