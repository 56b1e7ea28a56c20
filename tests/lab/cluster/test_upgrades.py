"""Minor upgrades of databases on servers of a department's own in the cluster, one while its
application is visited."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kubernetes import client

from controlplane.reports.upgrades import find_campaign
from controlplane.upgrade_plans import Plan
from tests.lab.applications import counter, visited
from tests.lab.campaigns import advance_to_the_end
from tests.lab.engine_clients import Access, query
from tests.lab.engine_clients import ask as ask_mariadb
from tests.lab.holders import SETTINGS
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import CHECKOUT, Lab
from tests.newer import offering

ENGINEER = "chengang"
OLDER, SHIPPED, NEXT = "1.2.0", "1.3.0", "9.0.0"
#: A MariaDB has a log on a volume of its own from here on, and none before.
WITHOUT_LOG, WITH_LOG = "1.3.0", "1.4.0"
PATIENCE_S = 60
VERSION_LABEL = "app.kubernetes.io/version"
#: The next version's servers are of an image that nobody has brought to the node.
MISSING_IMAGE = (
    "        kubernetes_server_version:",
    '        kubernetes_server_image: "{{ kubernetes_SERVICE_image if controlplane.is_undoing'
    " else 'lab.local/SERVICE:99' }}\"\n        kubernetes_server_version:",
)
ASK = {"postgresql": query, "mariadb": ask_mariadb}
ROWS = {
    "postgresql": "CREATE TABLE household AS SELECT generate_series(1, 1000) AS id",
    "mariadb": "CREATE TABLE household SELECT seq AS id FROM seq_1_to_1000",
}
COUNT = "SELECT count(*) FROM household"


@pytest.fixture(scope="module")
def running_city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    with kubernetes_city(tmp_path_factory.mktemp("city"), lab) as city:
        yield city


@pytest.fixture
def city(running_city: KubernetesCity) -> Iterator[KubernetesCity]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield running_city
    running_city.start_again_on(CHECKOUT / "playbooks")
    running_city.retire_all("webapp", "postgresql", "mariadb")
    running_city.assert_nothing_is_left()


def connection_string(city: KubernetesCity, folder: Path, resource_id: str) -> str:
    texts, ca = city.shown(resource_id), folder / "ca.pem"
    ca.write_text(texts["ca"])
    return texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")


def ask(uri: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri, connect_timeout=5) as connection:
        return list(connection.execute(query).fetchall())  # type: ignore[call-overload]


def server_pod(city: KubernetesCity, resource_id: str) -> Any:
    found = client.CoreV1Api(city.client()).list_pod_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    (pod,) = found.items
    return pod


def upgraded(
    city: KubernetesCity, before: str, after: str, service: str = "postgresql"
) -> tuple[str, str]:
    """A campaign over every instance; how it ended, and why if it was stopped."""
    plan = Plan(service, before, after, any_time=True)
    number = city.control_plane.upgrading.start(city.person(ENGINEER), plan)
    state = advance_to_the_end(city, number)
    with city.control_plane.db.read() as session:
        return state, find_campaign(session, number, city.clock()).campaign.reason


def test_a_minor_upgrade_keeps_the_data_and_no_visit_is_lost(
    city: KubernetesCity, tmp_path: Path
) -> None:
    city.start_again_on(offering("postgresql", tmp_path, OLDER))
    database = city.delivered("postgresql", plan="own_small", database_name="dibao")
    uploads = city.control_plane.uploads
    archive = uploads.receive(city.person("limin"), None, "app", io.BytesIO(counter("one")))
    application = city.delivered(
        "webapp",
        plan="small",
        archive=archive.sha256,
        runtime="python",
        replicas=1,
        health_path="/ready",
        database=database,
    )
    uri, before = connection_string(city, tmp_path, database), server_pod(city, database)
    assert VERSION_LABEL not in before.metadata.labels
    city.start_again_on(CHECKOUT / "playbooks")
    url = str(city.resource(application).outputs["url"])
    with visited(url, patience_s=PATIENCE_S) as visitor:
        assert upgraded(city, OLDER, SHIPPED) == ("finished", "")
        seen_so_far = len(visitor.answers)
        city.wait(lambda: len(visitor.answers) > seen_so_far or None, "a visit after the upgrade")
    assert visitor.failures == []
    written = {number for (number,) in ask(uri, "SELECT id FROM visit")}
    assert {int(answer.split()[1]) for answer in visitor.answers} <= written
    after = server_pod(city, database)
    assert after.metadata.labels[VERSION_LABEL] == SHIPPED
    assert after.metadata.uid != before.metadata.uid
    assert ask(uri, "SHOW effective_cache_size") == [("768MB",)]
    assert city.resource(database).service_version == SHIPPED
    print(f"minor upgrade: {len(visitor.answers)} visits, {visitor.retried} tried again, none lost")


def test_a_mariadb_is_upgraded_with_its_data_and_can_be_set_from_then_on(
    city: KubernetesCity, tmp_path: Path
) -> None:
    city.start_again_on(offering("mariadb", tmp_path, OLDER))
    database = city.delivered("mariadb", plan="own_small", database_name="dibao")
    way, before = Access.shown(city.shown(database), tmp_path), server_pod(city, database)
    assert VERSION_LABEL not in before.metadata.labels
    ask_mariadb(way, ROWS["mariadb"])
    city.start_again_on(CHECKOUT / "playbooks")
    assert server_pod(city, database).metadata.uid == before.metadata.uid
    assert upgraded(city, OLDER, WITH_LOG, "mariadb") == ("finished", "")
    after = server_pod(city, database)
    assert after.metadata.labels[VERSION_LABEL] == WITH_LOG
    assert after.metadata.uid != before.metadata.uid
    assert ask_mariadb(way, COUNT) == [(1000,)]
    settings = SETTINGS["mariadb"]
    city.operate(database, "set_parameters", **settings.form)
    assert settings.ask(way, settings.shown) == [settings.seen]
    assert settings.ask(way, "SELECT @@log_bin") == [(1,)]


@pytest.mark.parametrize(("service", "kept"), [("postgresql", ""), ("mariadb", WITHOUT_LOG)])
def test_an_upgrade_that_fails_goes_back_with_the_data(
    city: KubernetesCity, tmp_path: Path, service: str, kept: str
) -> None:
    if kept:
        city.start_again_on(offering(service, tmp_path / "kept", kept))
    standing = kept or SHIPPED
    database = city.delivered(service, plan="own_small", database_name="dibao")
    way, ask_it = Access.shown(city.shown(database), tmp_path), ASK[service]
    ask_it(way, ROWS[service])
    settings = SETTINGS[service]
    city.operate(database, "set_parameters", **settings.form)
    before, after = (text.replace("SERVICE", service) for text in MISSING_IMAGE)
    city.start_again_on(offering(service, tmp_path, "", (before, after)))
    state, reason = upgraded(city, standing, NEXT, service)
    assert state == "stopped"
    assert f"the node has no image lab.local/{service}:99" in reason
    assert ask_it(way, COUNT) == [(1000,)]
    assert settings.ask(way, settings.shown) == [settings.seen]
    assert server_pod(city, database).metadata.labels[VERSION_LABEL] == standing
    resource = city.resource(database)
    assert (resource.service_version, resource.state) == (standing, "active")
