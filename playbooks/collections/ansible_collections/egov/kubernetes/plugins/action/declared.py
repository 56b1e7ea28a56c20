"""Objects as they are declared, or none of them; the options stand in modules/declared.py."""

from __future__ import annotations

from typing import ClassVar

from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import Json, Namespace
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster_action import ClusterAction
from ansible_collections.egov.kubernetes.plugins.plugin_utils.declared import (
    apply,
    documents_of,
    patch,
    remove,
)


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[Json] = {
        **ClusterAction.ARGUMENTS,
        "state": {
            "type": "str",
            "choices": ["present", "patched", "absent"],
            "default": "present",
        },
        "definition": {"type": "raw", "required": True},
        "timeout_s": {"type": "int", "default": 90},
    }

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        documents = documents_of(wanted["definition"])
        if wanted["state"] == "absent":
            return {"changed": remove(namespace, documents, wanted["timeout_s"])}
        bring = apply if wanted["state"] == "present" else patch
        return {"changed": bring(namespace, documents)}
