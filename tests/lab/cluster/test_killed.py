"""The API server, and then the node, killed amid whatever is done with a PostgreSQL in the cluster:
it is done once, or fails and says why, its rows are kept, and what failed ends well when it is
asked for again. The tests tell one story in order, of one database."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from kubernetes import client

from controlplane.provisioning.models import Job
from controlplane.upgrade_plans import Plan
from tests.lab.campaigns import advance_to_the_end
from tests.lab.cloud import until
from tests.lab.cluster.test_backups import Own
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import CHECKOUT, Lab
from tests.lab.servers.backed_engines import POSTGRESQL
from tests.newer import offering

NAME = "低保核对系统"
OLDER, SHIPPED = "1.2.0", "1.3.0"
#: So many that a kill finds the dump, or the load, under way.
ROWS = 300_000
PATIENCE_S = 120


class Part:
    """`kube-apiserver`, or `node`: kubelet, containerd and every pod with it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.pid = lab.service(name)["pid"]

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def start_again(self) -> None:
        until(lambda: self.lab.service(self.name)["state"] == "died" or None, PATIENCE_S, "a death")
        self.lab.must("start")


@pytest.fixture(scope="module")
def city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    folder = tmp_path_factory.mktemp("city")
    with kubernetes_city(folder, lab, backup_store=folder / "store") as city:
        yield city
        city.retire_all("postgresql")
        city.assert_nothing_is_left()


@pytest.fixture(scope="module")
def own(city: KubernetesCity, tmp_path_factory: pytest.TempPathFactory) -> Own:
    return Own(city, POSTGRESQL, tmp_path_factory.mktemp("own"))


@pytest.fixture
def api_server(lab: Lab) -> Part:
    return Part(lab, "kube-apiserver")


@pytest.fixture
def node(lab: Lab) -> Part:
    return Part(lab, "node")


@pytest.fixture(scope="module")
def database(lab: Lab, own: Own, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an older version, and ordered while first the one and then the other is killed."""
    city = own.city
    city.start_again_on(offering("postgresql", tmp_path_factory.mktemp("older"), OLDER))
    api_server, node = Part(lab, "kube-apiserver"), Part(lab, "node")
    request_id = city.ask("postgresql", plan="own_small", database_name="dibao")
    waits_for_the_cloud(city, "provision", api_server)
    under_way(city, "provision")
    node.kill()
    node.start_again()
    resource_id = city.fulfilled(request_id)
    city.start_again_on(CHECKOUT / "playbooks")
    return resource_id


def newest(city: KubernetesCity, action: str) -> Job:
    return city.jobs(action=action)[-1]


def under_way(city: KubernetesCity, action: str) -> None:
    """Its play runs."""

    def check() -> bool | None:
        job = city.jobs(action=action)
        return True if job and job[-1].state == "running" and job[-1].run_pgid else None

    city.worker.wake()
    until(check, PATIENCE_S, f"the run of {action}")


def waits_for_the_cloud(city: KubernetesCity, action: str, api_server: Part) -> None:
    """The API server is killed amid a run, which says so, costs no try, and is done again."""
    under_way(city, action)
    api_server.kill()
    job = until(lambda: said(city, action), PATIENCE_S, "a try without an API server")
    assert "the cloud kubernetes does not answer" in job.error
    assert job.state == "queued"
    assert job.attempts_max > job.attempt
    api_server.start_again()


def said(city: KubernetesCity, action: str) -> Job | None:
    job = newest(city, action)
    return job if job.error else None


def killed_when(node: Part, is_time: Callable[[], Any]) -> None:
    """It is soon over: asked without a pause."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not is_time():
        assert time.monotonic() < give_up_at, "the moment never came"
    node.kill()


def answers(own: Own, database: str) -> bool | None:
    try:
        return bool(own.ask(database, "SELECT 1")) or None
    except psycopg.OperationalError:
        return None


def pods_of(city: KubernetesCity, resource_id: str) -> list[Any]:
    found = client.CoreV1Api(city.client()).list_pod_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    return list(found.items)


def test_amid_its_order_it_is_delivered_once(own: Own, database: str) -> None:
    assert own.ask(database, "SELECT 1") == [(1,)]
    assert len(pods_of(own.city, database)) == 1
    for statement in POSTGRESQL.fill:
        own.ask(database, statement.replace("{rows}", str(ROWS)))


def test_amid_an_upgrade_it_goes_back_or_is_upgraded_with_every_row(
    own: Own, database: str, api_server: Part, node: Part
) -> None:
    city, before = own.city, own.total(database)
    (pod,) = pods_of(city, database)
    upgrading, engineer = city.control_plane.upgrading, city.person("chengang")
    number = upgrading.start(engineer, Plan("postgresql", OLDER, SHIPPED, any_time=True))
    upgrading.advance()
    waits_for_the_cloud(city, "upgrade", api_server)

    def is_replaced() -> bool:
        return [p.metadata.uid for p in pods_of(city, database)] != [pod.metadata.uid]

    killed_when(node, is_replaced)
    node.start_again()
    city.idle()
    if newest(city, "upgrade").state != "succeeded":  # it had no way back either, without a node
        city.control_plane.operations.retry_job(engineer, newest(city, "upgrade").id)
    state = advance_to_the_end(city, number)
    assert own.total(database) == before, city.told()
    if state == "stopped":
        assert city.resource(database).service_version == OLDER
        upgrading.resume(engineer, number)
        assert advance_to_the_end(city, number) == "finished", city.told()
    assert city.resource(database).service_version == SHIPPED
    assert own.total(database) == before


def test_amid_a_backup_nothing_half_is_kept_and_the_next_one_is_whole(
    own: Own, database: str, api_server: Part, node: Part
) -> None:
    city, before = own.city, own.total(database)
    store = city.control_plane.settings.backups_dir
    city.control_plane.recovery.back_up_now(city.person("limin"), database)
    waits_for_the_cloud(city, "backup", api_server)
    killed_when(node, lambda: [*store.rglob("*.part")])
    city.idle()
    failed = own.backups(database)[-1]
    assert failed.state == "failed"
    assert "Traceback" not in failed.error
    assert [p for p in store.rglob("*") if p.is_file()] == []
    node.start_again()
    until(lambda: answers(own, database), PATIENCE_S, "the database")
    taken = own.backed_up(database)
    assert taken.manifest["tables"][POSTGRESQL.in_manifest]["rows"] == ROWS
    assert own.total(database) == before


def test_amid_a_restore_what_is_there_stays_until_the_next_one_has_it_whole(
    own: Own, database: str, api_server: Part, node: Part
) -> None:
    city, before = own.city, own.total(database)
    taken = own.backups(database)[-1]
    own.ask(database, "DELETE FROM household WHERE id > 7")
    left = own.total(database)
    beside = f"{city.resource(database).outputs['database']}_restoring"
    recovery, limin = city.control_plane.recovery, city.person("limin")

    def names() -> set[str]:
        return {name for (name,) in own.ask(database, "SELECT datname FROM pg_database")}

    recovery.restore_in_place(limin, database, taken.number, NAME)
    waits_for_the_cloud(city, "restore", api_server)
    killed_when(node, lambda: beside in names())
    city.idle()
    failed = newest(city, "restore")
    assert failed.state == "failed"
    assert "Traceback" not in failed.error
    node.start_again()
    until(lambda: answers(own, database), PATIENCE_S, "the database")
    assert own.total(database) == left
    recovery.restore_in_place(limin, database, taken.number, NAME)
    own.ended("restore")
    assert own.total(database) == before
    assert beside not in names()


def test_amid_a_change_of_password_the_one_before_is_in_force_until_the_new_one_is(
    own: Own, database: str, api_server: Part, node: Part
) -> None:
    city, before, shown = own.city, own.total(database), own.city.shown(database)["uri"]
    operate, limin = city.control_plane.operations.operate_resource, city.person("limin")
    node.kill()
    operate(limin, database, "rotate_password", {})
    city.worker.wake()
    failed = until(lambda: said(city, "rotate_password"), PATIENCE_S, "its failure")
    assert "无应答 · nobody answers at" in failed.error
    assert city.shown(database)["uri"] == shown, "the password of before is in force"
    node.start_again()
    until(lambda: answers(own, database), PATIENCE_S, "the database")
    operate(limin, database, "rotate_password", {})
    waits_for_the_cloud(city, "rotate_password", api_server)
    city.idle()
    assert newest(city, "rotate_password").state == "succeeded", city.told()
    assert city.shown(database)["uri"] != shown
    assert own.total(database) == before
