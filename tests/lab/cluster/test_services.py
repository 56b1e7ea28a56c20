"""What departments order on Kubernetes: delivered by the control plane, used by real clients,
and fenced off from other departments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from controlplane.applying import apply_declared
from controlplane.quotas import load_quotas
from controlplane.service_requests.rules import RequestState
from tests.lab.cloud import until
from tests.lab.engine_clients import POSTGRESQL
from tests.lab.holders import Holders, assert_equipped, equip
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import NGINX, Lab, container, template

PYTHON = "lab.local/python:3.11"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def running_city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    with kubernetes_city(tmp_path_factory.mktemp("city"), lab) as city:
        yield city


@pytest.fixture
def city(running_city: KubernetesCity) -> Iterator[KubernetesCity]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield running_city
    running_city.retire_all("postgresql", "namespace")
    running_city.assert_nothing_is_left()


# --- a database on a server of its own ----------------------------------------------------------


def database(city: KubernetesCity, login: str = "limin", plan: str = "own_small") -> str:
    return city.delivered("postgresql", login, plan=plan, database_name="dibao")


def uri(city: KubernetesCity, folder: Path, resource_id: str, login: str = "limin") -> str:
    """The connection string as the department sees it, its authority put into a file."""
    texts = city.shown(resource_id, login)
    ca = folder / "ca.pem"
    ca.write_text(texts["ca"])
    return texts["uri"].replace("sslrootcert=ca.pem", f"sslrootcert={ca}")


def ask(address: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(address, connect_timeout=5) as connection:
        answer = connection.execute(query)  # type: ignore[call-overload]
        return list(answer.fetchall()) if answer.description else []


def setting(address: str, name: str) -> str:
    return str(ask(address, f"SHOW {name}")[0][0])


def test_a_database_of_its_own_is_used_through_its_whole_life(
    city: KubernetesCity, tmp_path: Path
) -> None:
    resource_id = database(city)
    old = uri(city, tmp_path, resource_id)
    ask(old, "CREATE TABLE household AS SELECT generate_series(1, 1000) AS id")
    with pytest.raises(psycopg.OperationalError):
        ask(old.replace("verify-full", "disable"), "SELECT 1")
    holders = Holders(city, resource_id, POSTGRESQL, tmp_path)
    equip(holders)

    city.operate(resource_id, "rotate_password")
    new = uri(city, tmp_path, resource_id)
    for address in (old, new):
        assert ask(address, "SELECT count(*) FROM household") == [(1000,)]
    city.end_grace()
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        ask(old, "SELECT 1")
    assert_equipped(holders)

    city.fulfilled(city.change(resource_id, plan="own_standard"))
    assert ask(new, "SELECT count(*) FROM household") == [(1000,)]
    assert setting(new, "max_connections") == "110"
    assert setting(new, "shared_buffers") == "1GB"
    assert volume_gib(city, resource_id) == 50
    assert city.resource(resource_id).capacity["memory_mib"] == 4096
    city.goes_back_where_no_node_has_room(resource_id)

    # Its volume is larger than its plan's now, and that is in nobody's way.
    city.operate(resource_id, "power_off")
    with pytest.raises(psycopg.OperationalError):
        ask(new, "SELECT 1")
    city.operate(resource_id, "power_on")
    assert ask(new, "SELECT count(*) FROM household") == [(1000,)]
    assert_equipped(holders)
    holders.leave()
    ask(new, "DROP TABLE names")
    city.operate(resource_id, "remove_extension", extension="pg_trgm")
    assert ask(new, "SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'") == []


def volume_gib(city: KubernetesCity, resource_id: str) -> int:
    claims = client.CoreV1Api(city.client()).list_persistent_volume_claim_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    (claim,) = claims.items
    return int(claim.status.capacity["storage"].removesuffix("Gi"))


@pytest.fixture
def missing_image(running_city: KubernetesCity) -> Iterator[None]:
    """The platform's engineers have misspelt an image."""
    inventory = running_city.kubeconfig.with_name("inventory.yml")
    text = inventory.read_text(encoding="utf-8")
    inventory.write_text(text.replace("lab.local/postgresql:15", "lab.local/postgres:51"))
    yield
    inventory.write_text(text, encoding="utf-8")


def test_a_build_whose_image_is_missing_says_so_and_leaves_nothing(
    city: KubernetesCity, missing_image: None
) -> None:
    request = city.ended(city.ask("postgresql", plan="own_small", database_name="dibao"))
    assert request.state == RequestState.FAILED
    assert request.resource_id is not None
    city.idle()  # what it had goes while the quota is still reached
    said = city.job_of(request.resource_id, "provision").error
    assert "the node has no image lab.local/postgres:51" in said
    city.idle()
    city.assert_nothing_is_left()


@pytest.fixture
def cluster_quota_reached(running_city: KubernetesCity) -> Iterator[None]:
    """Somebody has made the department's quota in the cluster smaller than ours says."""
    core = client.CoreV1Api(running_city.client())
    name = f"egov-{running_city.code('civil-affairs')}-internet"
    before = core.read_namespaced_resource_quota("egov", name).spec.hard
    core.patch_namespaced_resource_quota("egov", name, {"spec": {"hard": {"limits.cpu": "0"}}})
    yield
    core.patch_namespaced_resource_quota("egov", name, {"spec": {"hard": before}})


def test_a_quota_reached_in_the_cluster_and_not_with_us_says_so(
    city: KubernetesCity, cluster_quota_reached: None
) -> None:
    request = city.ended(city.ask("postgresql", plan="own_small", database_name="dibao"))
    assert request.state == RequestState.FAILED
    assert request.resource_id is not None
    city.idle()  # what it had goes while the quota is still reached
    said = city.job_of(request.resource_id, "provision").error
    assert "the namespace's quota is too small: exceeded quota: egov" in said
    assert "limits.cpu" in said


# --- a namespace of a department's own ----------------------------------------------------------


class Tenant:
    """A department in its own namespace, by the kubeconfig that it was shown."""

    def __init__(self, city: KubernetesCity, resource_id: str, login: str = "limin") -> None:
        shown = city.shown(resource_id, login)["kubeconfig"]
        api = config.new_client_from_config_dict(yaml.safe_load(shown))
        self.core, self.apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self.network = client.NetworkingV1Api(api)
        self.namespace = str(city.resource(resource_id).outputs["namespace"])
        self._admin = city.client

    def deploy(self, app: str, image: str, *command: str) -> None:
        made = template(app, container(image, command=list(command) or None))
        spec = {"selector": {"matchLabels": {"app": app}}, "template": made}
        self.apps.create_namespaced_deployment(
            self.namespace, {"metadata": {"name": app}, "spec": spec}
        )

    def ready_pod(self, app: str) -> str:
        def find() -> str | None:
            for pod in self.core.list_namespaced_pod(
                self.namespace, label_selector=f"app={app}"
            ).items:
                ready = any(
                    c.type == "Ready" and c.status == "True" for c in pod.status.conditions or []
                )
                if ready and not pod.metadata.deletion_timestamp:
                    return str(pod.metadata.name)
            return None

        return str(until(find, PATIENCE_S, f"a ready pod of {app}"))

    def reaches(self, host: str, port: int) -> bool:
        """Whether the department's pod `shell` gets a connection."""
        attempt = f"import socket; socket.create_connection(({host!r}, {port}), 2); print('open')"
        said = stream(
            client.CoreV1Api(self._admin()).connect_get_namespaced_pod_exec,
            self.ready_pod("shell"),
            self.namespace,
            command=["python3", "-c", attempt],
            stdout=True,
            stderr=True,
        )
        return "open" in said

    def is_let_in(self) -> bool:
        try:
            self.core.list_namespaced_pod(self.namespace)
        except ApiException as refused:
            # 403 as long as the API server remembers a token whose account is gone, then 401.
            if refused.status in (401, 403):
                return False
            raise
        return True


def tenant(city: KubernetesCity, login: str = "limin", **form: Any) -> tuple[str, Tenant]:
    form = {"plan": "small", "namespace_name": "dibao", **form}
    resource_id = city.delivered("namespace", login, **form)
    return resource_id, Tenant(city, resource_id, login)


def test_a_namespace_is_the_department_s_own_within_our_fences(city: KubernetesCity) -> None:
    _, water = tenant(city)
    water.deploy("web", NGINX)
    water.ready_pod("web")
    for refused in (
        lambda: water.core.list_namespace(),
        lambda: water.core.list_namespaced_secret("kube-system"),
        lambda: water.core.delete_namespaced_resource_quota("egov", water.namespace),
        lambda: water.network.delete_namespaced_network_policy("egov-deny", water.namespace),
        lambda: water.core.create_namespaced_service_account(
            water.namespace, {"metadata": {"name": "more"}}
        ),
    ):
        with pytest.raises(ApiException) as told:
            refused()
        assert told.value.status == 403
    privileged = template("root", container(NGINX, securityContext={"privileged": True}))
    privileged["metadata"]["name"] = "root"
    with pytest.raises(ApiException, match="violates PodSecurity"):
        water.core.create_namespaced_pod(water.namespace, privileged)
    greedy = template("greedy", container(NGINX, resources={"limits": {"cpu": "3"}}))
    greedy["metadata"]["name"] = "greedy"
    with pytest.raises(ApiException, match="exceeded quota: egov"):
        water.core.create_namespaced_pod(water.namespace, greedy)


@pytest.mark.brief
def test_a_namespace_through_its_whole_life(city: KubernetesCity) -> None:
    resource_id, water = tenant(city)
    water.deploy("web", NGINX)
    water.ready_pod("web")
    city.operate(resource_id, "rotate_token")
    renewed = Tenant(city, resource_id)
    assert (water.is_let_in(), renewed.is_let_in()) == (True, True)
    city.end_grace()
    until(lambda: None if water.is_let_in() else True, PATIENCE_S, "the end of the old token")
    assert renewed.is_let_in()

    city.operate(resource_id, "power_off")
    assert renewed.core.list_namespaced_pod(renewed.namespace).items == []
    city.operate(resource_id, "power_on")
    renewed.ready_pod("web")

    city.fulfilled(city.change(resource_id, plan="standard", pod_security="baseline"))
    quota = renewed.core.read_namespaced_resource_quota("egov", renewed.namespace)
    assert quota.spec.hard["limits.cpu"] == "4"


# --- two departments ----------------------------------------------------------------------------


@pytest.mark.brief
def test_two_departments_do_not_reach_each_other(city: KubernetesCity, tmp_path: Path) -> None:
    """By real packets of their pods, and by their kubeconfigs."""
    ours = database(city)
    _, water = tenant(city)
    _, people = tenant(city, "zhaoguodong")
    for department in (water, people):
        department.deploy("shell", PYTHON, "python3", "-c", "import time; time.sleep(3600)")
    outputs = city.resource(ours).outputs
    inside = cluster_address(city, ours)
    assert water.reaches(inside, 5432)
    assert not people.reaches(inside, 5432)
    assert not people.reaches(outputs["address"], outputs["port"])

    with pytest.raises(ApiException) as told:
        people.core.list_namespaced_pod(water.namespace)
    assert told.value.status == 403
    assert ask(uri(city, tmp_path, ours), "SELECT 1") == [(1,)]


def cluster_address(city: KubernetesCity, resource_id: str) -> str:
    found = client.CoreV1Api(city.client()).list_service_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    (service,) = found.items
    return str(service.spec.cluster_ip)


def test_the_department_s_quota_is_kept_in_step_in_its_namespace(city: KubernetesCity) -> None:
    database(city)
    core = client.CoreV1Api(city.client())
    name = f"egov-{city.code('civil-affairs')}-internet"
    hard = core.read_namespaced_resource_quota("egov", name).spec.hard
    assert (hard["limits.cpu"], hard["limits.memory"]) == ("40", "160Gi")
    assert hard["requests.storage"] == "3Ti"
    labels = core.read_namespace(name).metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    declare_quota(city, "vcpu: 40,", "vcpu: 36,")
    city.worker.wake()
    city.idle()
    hard = core.read_namespaced_resource_quota("egov", name).spec.hard
    assert hard["limits.cpu"] == "36"


def declare_quota(city: KubernetesCity, before: str, after: str) -> None:
    """The e-government office changes the department's quota and applies it."""
    settings = city.control_plane.settings
    file = settings.quotas_dir / "quotas.yml"
    file.write_text(file.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8")
    with city.control_plane.db.transaction() as session:
        apply_declared(session, settings, load_quotas(settings.quotas_dir), city.clock())
