"""A control plane whose only cloud is the lab's Kubernetes, and the people who order from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from controlplane.pipeline import Ask
from controlplane.provisioning.models import Job
from controlplane.service_requests.rules import RequestState
from tests.integration.live_city import (
    LiveCity,
    T,
    end_live_city,
    run_control_plane,
    wait_for,
)
from tests.lab.client_programs import client_programs
from tests.lab.pods import Lab

SERVICES = ("postgresql", "namespace")
PATIENCE_S, VOLUME_S = 240, 20
OF_OURS = "app.kubernetes.io/managed-by=egov"


@dataclass
class KubernetesCity(LiveCity):
    """`kubeconfig` is the administrator's."""

    kubeconfig: Path

    def client(self) -> client.ApiClient:
        """As the cluster's administrator."""
        return config.new_client_from_config(str(self.kubeconfig))

    def wait(
        self, check: Callable[[], T | None], what: str, tell: Callable[[], Any] = lambda: ""
    ) -> T:
        """Pods of several copies start one after the other, on a machine that others use too."""
        return wait_for(check, what, tell, PATIENCE_S)

    def ask(self, service: str, login: str = "limin", **form: Any) -> int:
        """Asked for and agreed to; the request's id."""
        asked = Ask(service, "provision", "internet", {"system_name": "低保核对系统", **form})
        request_id = self.control_plane.pipeline.submit_request(self.person(login), asked)
        self.decide("zhangjing", request_id)
        self.worker.wake()
        return request_id

    def delivered(self, service: str, login: str = "limin", **form: Any) -> str:  # type: ignore[override]
        return self.fulfilled(self.ask(service, login, **form))

    def end_grace(self) -> None:
        """A day later the old secrets end."""
        self.clock.advance(hours=24)
        self.ticks.end_grace()
        self.worker.wake()
        self.idle()

    def shown(self, resource_id: str, login: str = "limin") -> dict[str, str]:
        """Ways to connect, by their code, as the department sees them."""
        connection = self.control_plane.connections.show(self.person(login), resource_id, "核对")
        return {snippet.code: text for snippet, text in connection.snippets}

    def job_of(self, resource_id: str, action: str) -> Job:
        return self.jobs(resource_id=resource_id, action=action)[-1]

    def goes_back_where_no_node_has_room(self, resource_id: str) -> None:
        """To its plan of before; that its data are there is for whoever has written them to see."""
        before = self.resource(resource_id).spec["plan"]["code"]
        request = self.ended(self.change(resource_id, plan="own_large"))
        assert request.state == RequestState.FAILED
        self.idle()
        said = self.jobs(resource_id=resource_id)[-2].error
        assert "没有节点放得下 · no node takes it" in said
        assert self.resource(resource_id).spec["plan"]["code"] == before

    def assert_nothing_is_left(self) -> None:
        """Of departments' resources; what onboarding has set up stays."""
        self.assert_nothing_is_held()
        assert_nothing_is_left(self.client())


def assert_nothing_is_left(api: client.ApiClient) -> None:
    """Of any resource. The cluster removes a volume by itself once its claim is gone."""
    left = left_of_resources(api)
    assert not left, left
    core = client.CoreV1Api(api)

    def no_volume() -> bool | None:
        return None if core.list_persistent_volume().items else True

    wait_for(no_volume, "end of its volumes", seconds=VOLUME_S)


def left_of_resources(api: client.ApiClient) -> list[str]:
    """What stands in the cluster of any resource, by the label that all of it carries."""
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    network = client.NetworkingV1Api(api)
    asked = {"label_selector": "egov/resource-id"}
    found: list[Any] = []
    for ask in (
        core.list_namespace,
        core.list_pod_for_all_namespaces,
        core.list_secret_for_all_namespaces,
        core.list_config_map_for_all_namespaces,
        core.list_service_for_all_namespaces,
        core.list_service_account_for_all_namespaces,
        core.list_persistent_volume_claim_for_all_namespaces,
        apps.list_stateful_set_for_all_namespaces,
        network.list_network_policy_for_all_namespaces,
    ):
        found += ask(**asked).items
    return [f"{type(t).__name__} {t.metadata.namespace}/{t.metadata.name}" for t in found]


@contextmanager
def kubernetes_city(folder: Path, lab: Lab, **changes: Any) -> Iterator[KubernetesCity]:
    """A control plane over its own database and that cluster, its worker running; `changes` go
    into its settings."""
    client_programs()  # servers are backed up before they are destroyed
    kubeconfig = lab.home / "kubernetes" / "kubeconfig"
    changes = {
        "kubeconfig": kubeconfig,
        "kubernetes_inventory": kubeconfig.with_name("inventory.yml"),
        "job_attempts_max": 1,
        **changes,
    }
    control_plane, clock, worker, ticks = run_control_plane(folder, "k", {}, changes)
    no_openstack: Any = None
    city = KubernetesCity(control_plane, clock, no_openstack, {}, "k", worker, ticks, kubeconfig)
    yield city
    end_live_city(city)
