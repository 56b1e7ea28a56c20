"""A database's own disk fills at run time: somebody is told before, nothing is lost, and a larger
plan brings it back."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from kubernetes import client

from controlplane.audit import AuditEvent
from controlplane.backups.models import LogArchive
from controlplane.provisioning.models import ResourceDisk
from tests.lab.cloud import until
from tests.lab.cluster.own_disks import own_disk
from tests.lab.engine_clients import MARIADB, Access, ask
from tests.lab.filling import COUNT, FILLINGS, Filling, added_until_refused
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import Lab

#: The lab's kubelet looks at its volumes every 10 to 20 s.
PATIENCE_S = 60


@pytest.fixture(scope="module")
def city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    with kubernetes_city(tmp_path_factory.mktemp("city"), lab) as city:
        yield city
        city.assert_nothing_is_left()


def level(city: KubernetesCity, resource_id: str) -> str:
    """As the tick finds it."""
    city.ticks.measure_disks()
    with city.control_plane.db.read() as session:
        disk = session.get(ResourceDisk, resource_id)
        return disk.level if disk else ""


def becomes(city: KubernetesCity, resource_id: str, *levels: str) -> None:
    until(lambda: level(city, resource_id) in levels or None, PATIENCE_S, f"its disk {levels}")


def told(city: KubernetesCity) -> list[str]:
    """What histories say of disks."""
    with city.control_plane.db.read() as session:
        events = sa.select(AuditEvent.event).where(AuditEvent.event.like("disk_%"))
        return list(session.scalars(events.order_by(AuditEvent.id)))


@pytest.mark.parametrize("filling", FILLINGS, ids=str)
def test_a_disk_that_fills_is_told_of_loses_nothing_and_grows_with_its_plan(
    lab: Lab, city: KubernetesCity, tmp_path: Path, filling: Filling
) -> None:
    engine = filling.engine
    resource_id = city.delivered(engine.service, plan="own_small", **engine.form)
    before = len(told(city))
    way = Access.shown(city.shown(resource_id), tmp_path)
    with own_disk(lab, city, resource_id, tmp_path, filling.size_mib) as disk:
        for statement in filling.make:
            filling.do(way, statement)
        becomes(city, resource_id, "fine")

        rows = 0
        while disk.used_percent() < 85:
            filling.do(way, filling.add)
            rows += 1
        becomes(city, resource_id, "near", "critical")
        added, refusal = added_until_refused(filling, way)
        assert re.search(filling.words, refusal), refusal
        rows += added
        becomes(city, resource_id, "critical", "full")

        request_id = city.change(resource_id, plan="own_standard")
        disk.grow_once_asked(filling.size_mib * 4)
        city.fulfilled(request_id)
        (found,) = filling.do(way, COUNT)
        # Of the one that was refused a server that ended may have kept the whole.
        assert rows <= found[0] <= rows + 1, "every row that was accepted"
        filling.do(way, filling.add)
        becomes(city, resource_id, "fine")
        assert city.resource(resource_id).spec["plan"]["code"] == "own_standard"
        *warned, freed = told(city)[before:]
        assert {"disk_critical", "disk_used_up"} & set(warned)
        assert freed == "disk_freed"
        filling.do(way, "DROP TABLE filled")  # a last backup is taken of the rest
        print(f"{engine}: {rows} rows of a MiB, refused: {refusal}; {' '.join(warned)}")


def administered(city: KubernetesCity, resource_id: str, folder: Path) -> Access:
    """A MariaDB of a department's own, as the platform reaches it."""
    found = client.CoreV1Api(city.client()).list_secret_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    (password,) = [base64.b64decode(each.data["password"]).decode() for each in found.items]
    way = Access.shown(city.shown(resource_id), folder)
    return replace(way, user="egov_admin", password=password, inside="mysql")


def test_the_log_of_a_mariadb_that_nobody_fetches_stays_within_its_disk(
    city: KubernetesCity, tmp_path: Path
) -> None:
    resource_id = city.delivered(MARIADB.service, plan="own_small", **MARIADB.form)
    city.ticks.archive_logs()
    admin = administered(city, resource_id, tmp_path)
    way = Access.shown(city.shown(resource_id), tmp_path)
    ask(way, "CREATE TABLE kept (id int)")
    for _ in range(6):
        ask(way, "INSERT INTO kept VALUES (1)")
        ask(admin, "FLUSH BINARY LOGS")
    until(lambda: len(ask(admin, "SHOW BINARY LOGS")) <= 3 or None, PATIENCE_S, "a shorter log")
    assert ask(way, "SELECT count(*) FROM kept") == [(6,)]

    city.ticks.archive_logs()
    with city.control_plane.db.read() as session:
        mine = sa.select(LogArchive).where(LogArchive.server == resource_id)
        (lost,) = session.scalars(mine).all()
    assert "is not there any more" in lost.error
    assert lost.ended_at is not None, "the next look begins a new chain"
    city.retire_all(MARIADB.service)
