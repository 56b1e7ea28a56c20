"""Many rows of a shared database: every row back by checksum, recovery time printed. A million of a
PostgreSQL are `make bench-backups`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.live_city import end_live_city, unfinished_jobs, wait_for
from tests.lab.servers.backed_city import Way, drill_of, newest_kept
from tests.lab.servers.backed_engines import ENGINES, Backed
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order

ROWS = 200_000
PATIENCE_S = 300


@pytest.fixture
def city(tmp_path: Path, inventory: Path) -> Iterator[SharedCity]:
    city = make_shared_city(tmp_path, inventory, job_attempts_max=1)
    yield city
    city.retire_all("postgresql", "mariadb")
    city.assert_nothing_is_left()
    end_live_city(city)


def settled(city: SharedCity) -> None:
    """No job is left to do: so many rows take longer than a test is patient elsewhere."""

    def check() -> bool | None:
        with city.control_plane.db.read() as session:
            return None if session.scalar(unfinished_jobs()) else True

    city.worker.wake()
    wait_for(check, "the end of all jobs", city.told, PATIENCE_S)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_many_rows_come_back_every_one(
    city: SharedCity, engine: Backed, tmp_path: Path, record_property: Callable[..., None]
) -> None:
    way = Way(city, engine, tmp_path)
    source = city.fulfilled(order(city, service=engine.service))
    way.fill(source, ROWS)
    before = way.total(source)
    began = time.monotonic()
    city.control_plane.recovery.back_up_now(city.person("limin"), source)
    settled(city)
    taken = newest_kept(city, source)
    record_property("backup_s", round(time.monotonic() - began, 1))
    assert taken.manifest["tables"][engine.in_manifest]["rows"] == ROWS
    way.ask(source, engine.drop)

    city.control_plane.recovery.drill_now(city.person("chengang"), source)
    settled(city)
    drill = drill_of(city, source)
    assert (drill.result, drill.rows_compared) == ("passed", taken.manifest["rows"])
    began = time.monotonic()
    asked = order(city, service=engine.service, restore_from=taken.number)
    settled(city)
    fresh = city.fulfilled(asked)
    record_property("order_to_restored_s", round(time.monotonic() - began, 1))
    assert way.total(fresh) == before
    began = time.monotonic()
    asked = order(city, service=engine.service, clone_of=city.resource(fresh).number)
    settled(city)
    copy = city.fulfilled(asked)
    record_property("order_to_cloned_s", round(time.monotonic() - began, 1))
    assert way.total(copy) == before
    record_property("archive_mib", round(taken.size_bytes / (1 << 20), 1))
    record_property("recovery_time_s", drill.recovery_time_seconds)
    record_property("recovery_point_s", drill.recovery_point_seconds)
    print(  # what an operator is asked for
        f"{engine}: {ROWS:,} rows back by checksum, recovery time {drill.recovery_time_seconds} s, "
        f"recovery point {drill.recovery_point_seconds} s"
    )
