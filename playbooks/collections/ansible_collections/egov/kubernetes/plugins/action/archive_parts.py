"""An archive kept in the cluster, in ConfigMaps that a pod puts together again; the options stand in modules/archive_parts.py."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import ClassVar

from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import (
    FailedError,
    Json,
    Namespace,
)
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster_action import ClusterAction

#: A ConfigMap holds 1 MiB.
PART_BYTES = 960 * 1024
LABEL = "egov/archive"


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[Json] = {
        **ClusterAction.ARGUMENTS,
        "state": {"type": "str", "choices": ["present", "pruned"], "default": "present"},
        "labels": {"type": "dict", "required": True},
        "path": {"type": "path"},
        "sha256": {"type": "str", "default": ""},
    }
    REQUIRED_IF: ClassVar[list[tuple[str, object, tuple[str, ...]]]] = [
        ("state", "present", ("path", "sha256"))
    ]

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        parts = Parts(namespace, wanted["labels"], wanted["sha256"][:12])
        if wanted["state"] == "pruned":
            return {"changed": parts.prune(), "parts": []}
        content = Path(wanted["path"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != wanted["sha256"]:
            raise FailedError(
                "上传件与校验和不符 · the archive in the store is not the one uploaded"
            )
        needed = parts_of(wanted["name"], content, wanted["sha256"])
        return {"changed": parts.add(needed), "parts": list(needed)}


def parts_of(name: str, content: bytes, sha256: str) -> dict[str, tuple[str, bytes]]:
    """ConfigMap's name to the file in it and its bytes; files sort as the archive goes."""
    chunks = [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]
    return {
        f"{name}-{sha256[:12]}-{number:03}": (f"part-{number:03}", chunk)
        for number, chunk in enumerate(chunks)
    }


class Parts:
    """Those in a namespace that carry the labels; `mark` is that of the archive in hand."""

    def __init__(self, namespace: Namespace, labels: Json, mark: str) -> None:
        self._namespace, self._labels, self._mark = namespace, labels, mark

    def add(self, parts: dict[str, tuple[str, bytes]]) -> bool:
        """Those that are not there yet; whether there were any."""
        missing = parts.keys() - self._there().keys()
        for name in sorted(missing):
            file, content = parts[name]
            body = {
                "metadata": {"name": name, "labels": {**self._labels, LABEL: self._mark}},
                "immutable": True,
                "binaryData": {file: base64.b64encode(content).decode("ascii")},
            }
            self._namespace.create("ConfigMap", body)
        return bool(missing)

    def prune(self) -> bool:
        """Away with those of other archives; whether there were any."""
        others = [name for name, mark in self._there().items() if mark != self._mark]
        for name in others:
            self._namespace.delete("ConfigMap", name)
        return bool(others)

    def _there(self) -> dict[str, str]:
        """Name of each part that stands in the cluster, and which archive it is of."""
        found = self._namespace.list("ConfigMap", labels={**self._labels, LABEL: None})
        return {one["metadata"]["name"]: one["metadata"]["labels"][LABEL] for one in found}
