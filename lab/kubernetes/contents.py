"""What is in the cluster from the start, applied again at every start."""

from __future__ import annotations

from typing import Any

from lab.kubernetes.api import Api
from lab.kubernetes.credentials import READER

RBAC = "/apis/rbac.authorization.k8s.io/v1"
STORAGE = "/apis/storage.k8s.io/v1"
#: For volumes made by hand on the node; there is no provisioner.
LOCAL_STORAGE_CLASS = "lab-local"


def apply(api: Api) -> None:
    """Raises ApiError."""
    for path, manifest in _objects():
        api.apply(f"{path}/{manifest['metadata']['name']}", manifest)


def _objects() -> list[tuple[str, dict[str, Any]]]:
    reads = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": READER},
        "rules": [
            _read("", "namespaces", "pods", "services", "endpoints"),
            _read("discovery.k8s.io", "endpointslices"),
            _read("networking.k8s.io", "networkpolicies"),
        ],
    }
    may_read = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": READER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": READER,
        },
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": READER},
        ],
    }
    local = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": LOCAL_STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return [
        (f"{RBAC}/clusterroles", reads),
        (f"{RBAC}/clusterrolebindings", may_read),
        (f"{STORAGE}/storageclasses", local),
    ]


def _read(group: str, *resources: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": ["get", "list", "watch"]}
