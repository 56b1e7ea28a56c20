"""Databases on the real shared servers, upgraded to a newer version of their service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from controlplane.backups.models import Backup
from controlplane.metering.models import UsageInterval
from controlplane.reports.upgrades import find_campaign
from controlplane.upgrade_plans import Plan
from tests.integration.live_city import end_live_city
from tests.lab.campaigns import advance_to_the_end
from tests.lab.engine_clients import MARIADB, POSTGRESQL, Access, Engine, ask, query
from tests.lab.servers.backed_engines import ENGINES
from tests.lab.servers.shared_city import SharedCity, make_shared_city, order, shown
from tests.newer import FAILS, release

#: How many connections a database takes.
LIMIT = {
    "postgresql": "SELECT datconnlimit FROM pg_database WHERE datname = current_database()",
    "mariadb": "SELECT @@max_user_connections",
}
ASK = {"postgresql": query, "mariadb": ask}
ROWS = {
    "postgresql": "CREATE TABLE household AS SELECT generate_series(1, 1000) AS id",
    "mariadb": "CREATE TABLE household SELECT seq AS id FROM seq_1_to_1000",
}
COUNT = "SELECT count(*) FROM household"
ENGINEER = "chengang"


@pytest.fixture
def city(tmp_path: Path, inventory: Path) -> Iterator[SharedCity]:
    made = make_shared_city(tmp_path, inventory, job_attempts_max=1)
    yield made
    made.retire_all("postgresql", "mariadb")
    made.assert_nothing_is_left()
    assert [engine.left_on(inventory) for engine in ENGINES] == [[], []]
    end_live_city(made)


def released(city: SharedCity, service: str, folder: Path) -> Plan:
    """The control plane starts again on a catalogue in which 9.0.0 is offered."""
    playbooks, version = release(service, folder / "released")
    city.start_again_on(playbooks)
    return Plan(service, version, "9.0.0", at_once=2)


def memory(city: SharedCity, resource_id: str) -> list[tuple[int, bool]]:
    """(MiB, whether it goes on) of each interval in order."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(
            sa.select(UsageInterval)
            .where(UsageInterval.resource_id == resource_id, UsageInterval.item == "memory_mib")
            .order_by(UsageInterval.t0)
        )
        return [(row.quantity, row.t1 is None) for row in rows]


@pytest.mark.parametrize("engine", [POSTGRESQL, MARIADB], ids=str)
def test_a_new_version_reaches_each_database_and_a_failure_leaves_it_as_it_was(
    city: SharedCity, tmp_path: Path, engine: Engine
) -> None:
    names, service = ["低保核对", FAILS, "残疾人补贴"], engine.service
    orders = [order(city, service=service, system_name=name) for name in names]
    ids = [city.fulfilled(request_id) for request_id in orders]
    ways = [Access.shown(shown(city, resource_id), tmp_path) for resource_id in ids]
    ask_it, limit = ASK[service], LIMIT[service]
    for way in ways:
        ask_it(way, ROWS[service])
    plan = released(city, service, tmp_path)
    assert city.resource(ids[0]).service_version == plan.before
    upgrading, engineer = city.control_plane.upgrading, city.person(ENGINEER)
    preview = upgrading.preview(engineer, plan)
    assert [each.upgraded.asked for each in preview.instances] == [{"memory_mib": 512}] * 3
    city.clock.advance(hours=1)
    number = upgrading.start(engineer, plan)
    with engine.connect(ways[0]) as held, held.cursor() as cursor:
        assert advance_to_the_end(city, number) == "stopped", city.told()
        cursor.execute(COUNT)
        assert list(cursor.fetchall()) == [(1000,)], "no connection is cut"
    with city.control_plane.db.read() as session:
        progress = find_campaign(session, number, city.clock())
        states = [member.state for member in progress.campaign.members]
        backed_up = set(session.scalars(sa.select(Backup.resource_id)))
    assert states == ["done", "failed", "pending"], city.told()
    assert "an extension does not fit" in progress.campaign.reason
    assert backed_up == set(ids[:2]), "a backup was taken of each before it was touched"
    assert [ask_it(way, limit) for way in ways] == [[(25,)], [(20,)], [(20,)]]
    failed = city.resource(ids[1])
    assert (failed.service_version, failed.state) == (plan.before, "active")
    assert failed.capacity["memory_mib"] == 512
    assert memory(city, ids[0]) == [(512, False), (1024, True)]
    assert memory(city, ids[1]) == [(512, True)]
    mend(city, service)
    upgrading.resume(engineer, number)
    assert advance_to_the_end(city, number) == "finished", city.told()
    for resource_id, way in zip(ids, ways, strict=True):
        assert ask_it(way, limit) == [(25,)], "the connection string is what it was"
        assert ask_it(way, COUNT) == [(1000,)]
        assert city.resource(resource_id).service_version == "9.0.0"
        assert memory(city, resource_id) == [(512, False), (1024, True)]


def mend(city: SharedCity, service: str) -> None:
    """What nobody had thought of is put right."""
    play = city.control_plane.settings.playbooks_dir / "services" / service / "newer.yml"
    play.write_text(play.read_text(encoding="utf-8").replace(FAILS, "nobody"), encoding="utf-8")
