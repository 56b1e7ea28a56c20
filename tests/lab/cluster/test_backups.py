"""PostgreSQL and MariaDB on servers of a department's own in the cluster: backed up, restored,
exchanged, proven, also while suspended; any moment had again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kubernetes import client

from controlplane.backups.models import Backup, LogArchive, RestoreDrill
from tests.lab import engine_clients
from tests.lab.engine_clients import Engine
from tests.lab.holders import SETTINGS, Holders
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import Lab, shared_services
from tests.lab.servers.backed_engines import ENGINES, Backed

NAME = "低保核对系统"
ROWS = 20_000
#: One of the settings, as a session sees it.
KEPT = {
    "postgresql": ("SHOW work_mem", ("8MB",)),
    "mariadb": ("SELECT @@sort_buffer_size DIV 1048576", (8,)),
}
#: A log is replayed by a server of its own version.
VERSIONS = {"postgresql": "15.", "mariadb": "10.11"}
CLIENTS = {e.service: e for e in (engine_clients.POSTGRESQL, engine_clients.MARIADB)}


@pytest.fixture(scope="module")
def city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    shared_services(lab, "start", *CLIENTS)
    folder, inventory = tmp_path_factory.mktemp("city"), lab.home / "services" / "inventory.yml"
    store = folder / "store"
    with kubernetes_city(folder, lab, backup_store=store, shared_inventory=inventory) as city:
        yield city
    shared_services(lab, "clean")


@dataclass(frozen=True)
class Own:
    """Servers of one engine, used as their department would."""

    city: KubernetesCity
    engine: Backed
    folder: Path

    def delivered(self, **form: Any) -> str:
        form = {"plan": "own_small", "database_name": "dibao", **form}
        return self.city.delivered(self.engine.service, **form)

    def ask(self, resource_id: str, query: str) -> list[tuple[Any, ...]]:
        return self.engine.ask(self.city.shown(resource_id), self.folder, query)

    def total(self, resource_id: str) -> list[tuple[Any, ...]]:
        return self.ask(resource_id, self.engine.total)

    def holders(self, resource_id: str) -> Holders:
        """Accounts beside the main one, that work from now on."""
        client: Engine = CLIENTS[self.engine.service]
        made = Holders(self.city, resource_id, client, self.folder)
        client.write(made.access(""))
        made.come()
        # Rows are summed up as text, in which a time zone shows.
        settings = {**SETTINGS[self.engine.service].form, "time_zone": "UTC"}
        self.city.operate(resource_id, "set_parameters", **settings)
        return made

    def assert_kept(self, holders: Holders) -> None:
        """Its accounts, and its settings, are as they were."""
        holders.work()
        shown, seen = KEPT[self.engine.service]
        assert self.ask(holders.resource_id, shown) == [seen]

    def backups(self, resource_id: str) -> list[Backup]:
        with self.city.control_plane.db.read() as session:
            rows = sa.select(Backup).where(Backup.resource_id == resource_id).order_by(Backup.id)
            return list(session.scalars(rows))

    def ended(self, action: str) -> None:
        self.city.worker.wake()
        self.city.idle()
        assert self.city.jobs(action=action)[-1].state == "succeeded", self.city.told()

    def backed_up(self, resource_id: str) -> Backup:
        self.city.control_plane.recovery.back_up_now(self.city.person("limin"), resource_id)
        self.ended("backup")
        return self.backups(resource_id)[-1]


@pytest.fixture
def emptied(city: KubernetesCity) -> Iterator[KubernetesCity]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield city
    city.retire_all("postgresql", "mariadb")
    city.assert_nothing_is_left()


@pytest.fixture(params=ENGINES, ids=str)
def own(emptied: KubernetesCity, tmp_path: Path, request: pytest.FixtureRequest) -> Own:
    return Own(emptied, request.param, tmp_path)


def pods_of(city: KubernetesCity, resource_id: str) -> list[str]:
    found = client.CoreV1Api(city.client()).list_pod_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    return [pod.metadata.name for pod in found.items]


def test_a_server_of_its_own_is_backed_up_restored_exchanged_and_proven(own: Own) -> None:
    city, recovery, limin = own.city, own.city.control_plane.recovery, own.city.person("limin")
    source = own.delivered()
    for statement in own.engine.fill:
        own.ask(source, statement.replace("{rows}", str(ROWS)))
    holders = own.holders(source)
    before = own.total(source)
    taken = own.backed_up(source)
    assert taken.manifest["tables"][own.engine.in_manifest]["rows"] == ROWS
    own.ask(source, f"{own.engine.drop}; CREATE TABLE written_since (id int)")

    fresh = own.delivered(restore_from=taken.number)
    assert own.total(fresh) == before
    recovery.exchange(limin, source, fresh, NAME)
    own.ended("exchange")
    assert own.total(source) == before
    assert own.ask(source, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    assert own.ask(fresh, "SELECT count(*) FROM written_since") == [(0,)]
    with pytest.raises(own.engine.gone):
        own.total(fresh)
    own.assert_kept(holders)

    own.ask(source, "DELETE FROM household")
    recovery.restore_in_place(limin, source, taken.number, NAME)
    own.ended("restore")
    assert own.total(source) == before
    own.assert_kept(holders)

    city.operate(source, "power_off")
    assert pods_of(city, source) == []
    recovery.drill_now(city.person("chengang"), source)
    own.ended("drill")
    with city.control_plane.db.read() as session:
        drills = sa.select(RestoreDrill).where(RestoreDrill.resource_id == source)
        drill = session.scalars(drills).one()
    assert (drill.result, drill.difference) == ("passed", "")
    assert drill.rows_compared == own.backups(source)[-1].manifest["rows"]
    assert pods_of(city, source) == [], "it is suspended again"

    city.control_plane.operations.retire_now(city.person("chengang"), source, NAME)
    own.ended("retire")
    last = own.backups(source)[-1]
    assert (last.kind, last.state) == ("last", "kept")
    again = own.delivered(restore_from=last.number)
    assert own.total(again) == before
    copy = own.delivered(clone_of=city.resource(again).number)
    assert own.total(copy) == before
    own.ask(copy, "DELETE FROM household")
    assert own.total(again) == before


def test_a_shared_one_is_cloned_to_a_server_of_its_own(own: Own) -> None:
    source = own.delivered(plan="small")
    for statement in own.engine.fill:
        own.ask(source, statement.replace("{rows}", str(ROWS)))
    before = own.total(source)
    copy = own.delivered(clone_of=own.city.resource(source).number)
    assert own.total(copy) == before
    assert own.ask(copy, "SELECT count(*) FROM all_of_it") == [(ROWS,)]
    own.ask(copy, "DELETE FROM household")
    assert own.total(source) == before


def archives(city: KubernetesCity) -> dict[str, LogArchive]:
    """By the resource whose server's log it is; each has but one."""
    with city.control_plane.db.read() as session:
        rows = session.scalars(sa.select(LogArchive)).all()
    assert len({row.server for row in rows}) == len(rows), [(r.server, r.error) for r in rows]
    return {row.server: row for row in rows}


def archived(city: KubernetesCity) -> int:
    """Of how many servers the log was archived, beside the two shared ones."""
    return city.ticks.archive_logs() - len(CLIENTS)


def test_any_moment_of_a_server_of_its_own_is_had_again_though_the_server_does_not_run(
    own: Own,
) -> None:
    city, source = own.city, own.delivered()
    assert archived(city) == 1, [a.error for a in archives(city).values()]
    for statement in own.engine.fill:
        own.ask(source, statement.replace("{rows}", str(ROWS)))
    before = own.total(source)
    moment = own.engine.now(lambda query: own.ask(source, query))
    own.ask(source, f"{own.engine.drop}; CREATE TABLE written_since (id int)")
    city.operate(source, "power_off")
    assert archived(city) == 0
    city.operate(source, "power_on")
    city.operate(source, "rotate_password")
    assert archived(city) == 1, [a.error for a in archives(city).values()]

    city.operate(source, "power_off")
    recovery, limin = city.control_plane.recovery, city.person("limin")
    recovery.back_up_moment(limin, source, moment)
    own.ended("backup")
    assert pods_of(city, source) == []
    taken = own.backups(source)[-1]
    assert (taken.kind, taken.taken_at) == ("moment", moment)
    assert taken.manifest["server_version"].startswith(VERSIONS[own.engine.service])
    fresh = own.delivered(restore_from=taken.number)
    assert own.total(fresh) == before

    assert archived(city) == 1, [a.error for a in archives(city).values()]
    assert archives(city)[fresh].reached_at is not None
    city.control_plane.operations.retire_now(city.person("chengang"), fresh, NAME)
    own.ended("retire")
    city.ticks.archive_logs()
    assert archives(city)[fresh].ended_at is not None
    assert archives(city)[source].ended_at is None
