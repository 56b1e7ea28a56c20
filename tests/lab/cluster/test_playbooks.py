"""Playbooks for Kubernetes as platform engineers run them by hand: a second run changes nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from controlplane.drivers.kubernetes import KubernetesCloud
from tests.lab.engineers import QUOTA, Engineer
from tests.lab.kubernetes_city import assert_nothing_is_left
from tests.lab.pods import Lab

NAMESPACE = {
    "namespace_name": "dibao",
    "pod_security": "restricted",
    "plan": {"code": "small", "vcpu": 2, "memory_mib": 4096, "storage_gib.standard": 20},
}
DATABASE: dict[str, Any] = {
    "database_name": "dibao",
    "plan": {
        "code": "own_small",
        "connections": 50,
        "vcpu": 1,
        "memory_mib": 1024,
        "storage_gib.standard": 10,
    },
}
CACHE = {"key_prefix": "dibao", "plan": DATABASE["plan"] | {"persistence": "everysec"}}
BROKER = {"vhost_name": "dibao", "plan": DATABASE["plan"] | {"queues": 50}}


@pytest.fixture(scope="module")
def engineer(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Engineer:
    """The department is set up already."""
    state = lab.home / "kubernetes"
    cloud = KubernetesCloud(state / "kubeconfig", state / "inventory.yml", run_seconds=600)
    made = Engineer(cloud, state / "inventory.yml", tmp_path_factory.mktemp("engineer"))
    assert made.changes("ops/onboard.yml") > 0
    return made


def test_a_department_is_set_up_once(engineer: Engineer) -> None:
    assert engineer.changes("ops/onboard.yml") == 0
    assert engineer.changes("ops/sync_quota.yml") == 0
    assert engineer.changes("ops/sync_quota.yml", quota=QUOTA | {"vcpu": 50}) == 1


@pytest.mark.parametrize(
    ("service", "spec"),
    [
        ("namespace", NAMESPACE),
        ("postgresql", DATABASE),
        ("mariadb", DATABASE),
        ("redis", CACHE),
        ("rabbitmq", BROKER),
    ],
)
def test_what_is_there_is_neither_made_nor_removed_twice(
    lab: Lab, engineer: Engineer, service: str, spec: dict[str, Any]
) -> None:
    playbook, own = f"services/{service}/manage.yml", {"resource_id": str(uuid.uuid4())}
    assert engineer.changes(playbook, spec=spec, **own) > 0
    assert engineer.changes(playbook, spec=spec, **own) == 0
    assert engineer.changes(playbook, spec=spec, action="retire", **own) > 0
    assert engineer.changes(playbook, spec=spec, action="retire", **own) == 0
    assert_nothing_is_left(lab.client())
