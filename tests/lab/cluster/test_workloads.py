"""What departments run on the embedded Kubernetes, and the limits that it keeps them in."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.rest import ApiException

from tests.lab.pods import BUSYBOX, NGINX, Department, Lab, answers, container, template

NAMESPACE = "water"


@pytest.fixture(scope="module")
def water(lab: Lab) -> Department:
    return Department(lab, NAMESPACE)


def start_pod(
    department: Department, name: str, *command: str, image: str = BUSYBOX, **main: Any
) -> None:
    made = template(name, container(image, command=list(command) or None, **main))
    made["metadata"]["name"] = name
    made["spec"]["restartPolicy"] = "Never"
    department.core.create_namespaced_pod(department.name, made)


def state_of(department: Department, name: str) -> Any:
    """The state of a pod's one container, or None before there is one."""
    status = department.core.read_namespaced_pod(name, department.name).status
    return status.container_statuses[0].state if status.container_statuses else None


def test_a_job_runs_to_its_end(water: Department) -> None:
    made = template("once", container(BUSYBOX, command=["sh", "-c", "echo counted"]))
    made["spec"]["restartPolicy"] = "Never"
    jobs = client.BatchV1Api(water.core.api_client)
    jobs.create_namespaced_job(
        NAMESPACE, {"metadata": {"name": "once"}, "spec": {"template": made}}
    )
    water.wait(lambda: jobs.read_namespaced_job("once", NAMESPACE).status.succeeded, "the job", 30)
    pods = water.core.list_namespaced_pod(NAMESPACE, label_selector="app=once").items
    said = water.core.read_namespaced_pod_log(pods[0].metadata.name, NAMESPACE)
    assert said == "counted\n"


def test_a_pod_over_its_memory_is_ended_and_says_so(water: Department) -> None:
    limits = {"limits": {"memory": "32Mi"}}
    start_pod(water, "hungry", "tail", "/dev/zero", resources=limits)
    ended = water.wait(lambda: state_of(water, "hungry") and
                       state_of(water, "hungry").terminated, "its end", 30)  # fmt: skip
    assert ended.reason == "OOMKilled"


def test_a_pod_without_its_image_says_so(water: Department) -> None:
    start_pod(water, "strange", image="lab.local/nothing:1")

    def reason() -> str | None:
        state = state_of(water, "strange")
        return state.waiting.reason if state and state.waiting else None

    water.wait(lambda: reason() == "ErrImageNeverPull", "the reason", 30)


def test_the_kubelet_tells_what_a_pod_uses_within_its_limits(lab: Lab, water: Department) -> None:
    limits = {"limits": {"cpu": "200m", "memory": "64Mi"}}
    start_pod(water, "busy", "sh", "-c", "while true; do :; done", resources=limits)
    node = client.CoreV1Api(lab.client())

    def used() -> Any:
        told = node.connect_get_node_proxy_with_path(
            "node-1", "stats/summary", _preload_content=False
        )
        mine = [pod for pod in json.loads(told.data)["pods"] if pod["podRef"]["name"] == "busy"]
        return mine[0] if mine and mine[0].get("cpu", {}).get("usageNanoCores") else None

    found = water.wait(used, "the figures of a pod", 60)
    assert 0 < found["cpu"]["usageNanoCores"] < 300_000_000
    assert 0 < found["memory"]["workingSetBytes"] < 64 * 2**20
    water.core.delete_namespaced_pod("busy", NAMESPACE)


def test_quota_and_pod_security_refuse_with_their_reason(lab: Lab) -> None:
    forest = Department(lab, "forest")
    forest.core.create_namespaced_resource_quota(
        "forest", {"metadata": {"name": "all"}, "spec": {"hard": {"pods": "1"}}}
    )
    forest.wait(lambda: forest.core.read_namespaced_resource_quota("all", "forest").status.hard,
                "the quota is counted")  # fmt: skip
    start_pod(forest, "first", "sleep", "60")
    with pytest.raises(ApiException, match="exceeded quota: all"):
        start_pod(forest, "second", "sleep", "60")
    with pytest.raises(ApiException, match="violates PodSecurity"):
        start_pod(forest, "root", "id", securityContext={"privileged": True})


def test_a_departments_token_opens_its_own_namespace_alone(lab: Lab, water: Department) -> None:
    rights = client.RbacAuthorizationV1Api(water.core.api_client)
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    rights.create_namespaced_role(NAMESPACE, {"metadata": {"name": "own"}, "rules": [rule]})
    rights.create_namespaced_role_binding(
        NAMESPACE,
        {
            "metadata": {"name": "own"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "own"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
        },
    )
    token = water.core.create_namespaced_service_account_token(
        "default", NAMESPACE, {"spec": {"expirationSeconds": 600}}
    ).status.token
    login = client.Configuration()
    login.host = lab.client().configuration.host
    login.ssl_ca_cert = lab.client().configuration.ssl_ca_cert
    login.api_key = {"authorization": f"Bearer {token}"}
    own = client.CoreV1Api(client.ApiClient(login))
    water.wait(lambda: own.list_namespaced_pod(NAMESPACE) is not None, "its own pods")
    for other in ("default", "kube-system"):
        with pytest.raises(ApiException) as refused:
            own.list_namespaced_pod(other)
        assert refused.value.status == 403


def test_a_rolling_update_fails_no_request(water: Department) -> None:
    # As a careful department has it: a pod takes its leave before it stops to serve.
    leave = {"preStop": {"sleep": {"seconds": 3}}}
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    made = template("page", container(NGINX, lifecycle=leave, readinessProbe=probe))
    made["spec"]["terminationGracePeriodSeconds"] = 8
    water.apps.create_namespaced_deployment(
        NAMESPACE,
        {
            "metadata": {"name": "page"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "page"}},
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": made,
            },
        },
    )
    address = water.serve("page", 80, 8080)
    water.wait(lambda: answers(address), "the page")
    ended, outcomes = threading.Event(), []

    def visit() -> None:
        while not ended.is_set():
            outcomes.append(answers(address))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        note = {"metadata": {"annotations": {"lab/round": "2"}}}
        water.apps.patch_namespaced_deployment("page", NAMESPACE, {"spec": {"template": note}})
        water.wait(lambda: rolled_out(water), "the new pods", 60)
    finally:
        ended.set()
        visitor.join()
    assert len(outcomes) > 100
    assert outcomes.count(False) == 0


def rolled_out(department: Department) -> bool:
    found = department.apps.read_namespaced_deployment("page", department.name)
    status, count = found.status, found.spec.replicas
    labelled = department.core.list_namespaced_pod(department.name, label_selector="app=page")
    return bool(
        status.observed_generation >= found.metadata.generation
        and status.updated_replicas == status.available_replicas == count
        and len(labelled.items) == count
    )
