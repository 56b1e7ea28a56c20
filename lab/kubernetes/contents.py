"""What is in the cluster from the start, applied again at every start."""

from __future__ import annotations

from typing import Any

from lab.kubernetes.api import Api
from lab.kubernetes.credentials import READER, VOLUMES
from lab.kubernetes.inside import volumes_rules

RBAC = "/apis/rbac.authorization.k8s.io/v1"
STORAGE = "/apis/storage.k8s.io/v1"
#: For volumes made by hand on the node. Those of `volumes_rules.CLASS` are made on demand.
LOCAL_STORAGE_CLASS = "lab-local"
READS = ["get", "list", "watch"]


def apply(api: Api) -> None:
    """Raises ApiError."""
    for path, manifest in _objects():
        api.apply(f"{path}/{manifest['metadata']['name']}", manifest)


def _objects() -> list[tuple[str, dict[str, Any]]]:
    reads = [
        _rule("", READS, "namespaces", "pods", "services", "endpoints"),
        _rule("discovery.k8s.io", READS, "endpointslices"),
        _rule("networking.k8s.io", READS, "networkpolicies"),
    ]
    makes_volumes = [
        _rule("", READS, "persistentvolumeclaims"),
        _rule("", ["patch"], "persistentvolumeclaims/status"),
        _rule("", [*READS, "create", "patch", "delete"], "persistentvolumes"),
    ]
    local = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": LOCAL_STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    folders = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": volumes_rules.CLASS},
        "provisioner": volumes_rules.PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }
    return [
        *_rights(READER, reads),
        *_rights(VOLUMES, makes_volumes),
        (f"{STORAGE}/storageclasses", local),
        (f"{STORAGE}/storageclasses", folders),
    ]


def _rights(user: str, rules: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """A role with `rules`, and that the owner of the certificate `user` has it."""
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": user},
        "rules": rules,
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    return [(f"{RBAC}/clusterroles", role), (f"{RBAC}/clusterrolebindings", binding)]


def _rule(group: str, verbs: list[str], *resources: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs}
