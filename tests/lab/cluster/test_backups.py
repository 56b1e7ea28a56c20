"""PostgreSQL and MariaDB on servers of a department's own in the cluster: backed up, restored,
exchanged, proven, also while suspended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from kubernetes import client

from controlplane.backups.models import Backup, RestoreDrill
from tests.lab import engine_clients
from tests.lab.engine_clients import Engine
from tests.lab.holders import SETTINGS, Holders
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import Lab
from tests.lab.servers.backed_engines import ENGINES, Backed

NAME = "低保核对系统"
ROWS = 20_000
CLIENTS = {e.service: e for e in (engine_clients.POSTGRESQL, engine_clients.MARIADB)}


@pytest.fixture(scope="module")
def city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    folder = tmp_path_factory.mktemp("city")
    with kubernetes_city(folder, lab, backup_store=folder / "store") as city:
        yield city


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
        if self.engine.service == "postgresql":
            # Rows are summed up as text, in which a time zone shows.
            settings = {**SETTINGS, "time_zone": "UTC"}
            self.city.operate(resource_id, "set_parameters", **settings)
        return made

    def assert_kept(self, holders: Holders) -> None:
        """Its accounts, and its settings, are as they were."""
        holders.work()
        if self.engine.service == "postgresql":
            assert self.ask(holders.resource_id, "SHOW work_mem") == [("8MB",)]

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


@pytest.fixture(params=ENGINES, ids=str)
def own(city: KubernetesCity, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Own]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield Own(city, request.param, tmp_path)
    city.retire_all("postgresql", "mariadb")
    city.assert_nothing_is_left()


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
