"""What a template declares, brought into the cluster by server-side apply.

kubernetes.core.k8s does the same for any kind; a run that needs a module of ours anyway saves one start of an interpreter and
of the client (measured: 1.4 s beside other runs), and the discovery of kinds.
"""

from __future__ import annotations

import json
from typing import Any

FIELD_MANAGER = "egov"
APPLY = "application/apply-patch+yaml"
NOT_FOUND = 404
#: By whose methods each kind is read and patched, and what they call it.
KINDS = {
    "StatefulSet": ("AppsV1Api", "stateful_set"),
    "ConfigMap": ("CoreV1Api", "config_map"),
    "Service": ("CoreV1Api", "service"),
    "PersistentVolumeClaim": ("CoreV1Api", "persistent_volume_claim"),
    "NetworkPolicy": ("NetworkingV1Api", "network_policy"),
}


class RefusedError(Exception):
    """The text is what was refused, and the API server's reason."""


def apply(api: Any, text: str) -> bool:
    """Applies each document of `text` in its order; whether anything was changed. Raises RefusedError."""
    import yaml
    from kubernetes import client
    from kubernetes.client.exceptions import ApiException

    has_changed = False
    for document in filter(None, yaml.safe_load_all(text)):
        group_name, noun = KINDS[document["kind"]]
        group = getattr(client, group_name)(api)
        name, namespace = document["metadata"]["name"], document["metadata"]["namespace"]
        try:
            before = _version(getattr(group, f"read_namespaced_{noun}"), name, namespace)
            patch = getattr(group, f"patch_namespaced_{noun}")
            options = {"field_manager": FIELD_MANAGER, "force": True, "_content_type": APPLY}
            after = patch(name, namespace, document, **options)
        except ApiException as error:
            raise RefusedError(f"{document['kind']} {name}: {_reason(error)}") from error
        has_changed = has_changed or after.metadata.resource_version != before
    return has_changed


def _version(read: Any, name: str, namespace: str) -> str | None:
    from kubernetes.client.exceptions import ApiException

    try:
        return str(read(name, namespace).metadata.resource_version)
    except ApiException as error:
        if error.status != NOT_FOUND:
            raise
        return None


def _reason(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
