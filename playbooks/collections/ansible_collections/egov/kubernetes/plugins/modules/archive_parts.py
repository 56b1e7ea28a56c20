#!/usr/bin/python
"""Keeps an archive in the cluster, in ConfigMaps that a pod puts together again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_parts
short_description: Keep an archive in the cluster as ConfigMaps
description:
  - No registry and no shared volume stands between an upload and the pods that run it. An archive becomes immutable ConfigMaps
    named by its checksum, each with one part of it, so that a part that is there is the right one.
  - C(pruned) removes the parts of every other archive of the same labels; without a checksum those of all.
author: Government cloud platform team
options:
  state: {description: What shall be., type: str, choices: [present, pruned], default: present}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  namespace: {description: Where the parts stand., type: str, required: true}
  name: {description: Of what the archive belongs to; the parts' names begin with it., type: str, required: true}
  labels: {description: Of each part; those by which parts are found again., type: dict, required: true}
  path: {description: The archive's file; needed for C(present)., type: path}
  sha256: {description: Its checksum., type: str, default: ""}
"""

EXAMPLES = r"""
- name: Keep the archive
  egov.kubernetes.archive_parts:
    context: department
    namespace: egov-civil-affairs-internet
    name: webapp-1a2b3c
    labels: {egov/resource-id: 1a2b3c}
    path: /srv/uploads/ab/abcdef
    sha256: abcdef
"""

RETURN = r"""
parts: {description: Names of the ConfigMaps in their order., type: list, elements: str, returned: success}
"""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

#: A ConfigMap holds 1 MiB.
PART_BYTES = 960 * 1024
LABEL = "egov/archive"
CONFLICT = 409


def parts_of(name: str, content: bytes, sha256: str) -> dict[str, tuple[str, bytes]]:
    """ConfigMap's name to the file in it and its bytes; files sort as the archive goes."""
    chunks = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
    return {
        f"{name}-{sha256[:12]}-{number:03}": (f"part-{number:03}", chunk)
        for number, chunk in enumerate(chunks)
    }


class Parts:
    def __init__(self, api: Any, values: dict[str, Any]) -> None:
        from kubernetes import client

        self._core = client.CoreV1Api(api)
        self._namespace, self._labels = values["namespace"], values["labels"]
        self._mark = values["sha256"][:12]

    def there(self) -> dict[str, str]:
        """Name of each part that stands in the cluster, and which archive it is of."""
        pairs = [f"{key}={value}" for key, value in sorted(self._labels.items())]
        found = self._core.list_namespaced_config_map(
            self._namespace, label_selector=",".join([*pairs, LABEL])
        )
        return {item.metadata.name: item.metadata.labels[LABEL] for item in found.items}

    def add(self, name: str, file: str, content: bytes) -> None:
        from kubernetes.client.exceptions import ApiException

        body = {
            "metadata": {"name": name, "labels": {**self._labels, LABEL: self._mark}},
            "immutable": True,
            "binaryData": {file: base64.b64encode(content).decode("ascii")},
        }
        try:
            self._core.create_namespaced_config_map(self._namespace, body)
        except ApiException as error:
            if error.status != CONFLICT:
                raise

    def remove(self, name: str) -> None:
        self._core.delete_namespaced_config_map(name, self._namespace)


def present(module: Any, parts: Parts) -> dict[str, Any]:
    values = module.params
    content = Path(values["path"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != values["sha256"]:
        module.fail_json(
            msg="上传件与校验和不符 · the archive in the store is not the one uploaded"
        )
    wanted, there = parts_of(values["name"], content, values["sha256"]), parts.there()
    missing = [name for name in wanted if name not in there]
    for name in missing:
        parts.add(name, *wanted[name])
    return {"changed": bool(missing), "parts": list(wanted)}


def pruned(module: Any, parts: Parts) -> dict[str, Any]:
    kept = module.params["sha256"][:12]
    others = [name for name, mark in parts.there().items() if mark != kept]
    for name in others:
        parts.remove(name)
    return {"changed": bool(others), "parts": []}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "pruned"], "default": "present"},
            "context": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "labels": {"type": "dict", "required": True},
            "path": {"type": "path"},
            "sha256": {"type": "str", "default": ""},
        },
        required_if=[("state", "present", ("path", "sha256"))],
    )
    from kubernetes import config

    api = config.new_client_from_config(
        os.environ.get("K8S_AUTH_KUBECONFIG"), context=module.params["context"]
    )
    parts = Parts(api, module.params)
    act = present if module.params["state"] == "present" else pruned
    module.exit_json(**act(module, parts))


if __name__ == "__main__":
    main()
