"""A StatefulSet of one replica or none, declared and awaited; the options stand in modules/rollout.py."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar

from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import (
    FailedError,
    Json,
    Namespace,
)
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster_action import ClusterAction
from ansible_collections.egov.kubernetes.plugins.plugin_utils.declared import (
    apply,
    documents_of,
)
from ansible_collections.egov.kubernetes.plugins.plugin_utils.reach import (
    node_ports_of,
    wait_for_ports,
)
from ansible_collections.egov.kubernetes.plugins.plugin_utils.reasons import (
    is_ready,
    refusal_of,
    trouble_of,
)

POLL_S = 0.3
#: A Service answers a moment after its pod is ready.
REACH_S = 30
EVER = datetime.fromtimestamp(0, UTC)
REVISION = "controller-revision-hash"


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[Json] = {
        **ClusterAction.ARGUMENTS,
        "definition": {"type": "str", "default": ""},
        "timeout_s": {"type": "int", "default": 120},
        "patience_s": {"type": "int", "default": 20},
        "reachable_at": {"type": "str", "default": ""},
    }

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        rollout, ports = Rollout(namespace, wanted["name"]), {}
        rollout.has_changed = apply(namespace, documents_of(wanted["definition"]))
        pod = rollout.wait(wanted["timeout_s"], wanted["patience_s"])
        if pod and wanted["reachable_at"]:
            ports = node_ports_of(namespace, wanted["name"])
            wait_for_ports(wanted["reachable_at"], ports, REACH_S)
        return {"changed": rollout.has_changed, "pod": pod, "node_ports": ports}


class Rollout:
    def __init__(self, namespace: Namespace, name: str) -> None:
        self._namespace, self._name = namespace, name
        self.has_changed = False

    def wait(self, timeout_s: float, patience_s: float) -> str:
        """The name of the pod that runs, or nothing for no replica. Raises FailedError."""
        started, began_at = time.monotonic(), datetime.now(UTC)
        troubled_since: float | None = None
        while True:
            now = time.monotonic()
            declared = self._declared()
            pods = self._pods(declared)
            if declared["spec"]["replicas"] == 0:
                if not pods:
                    return ""
                reason, may_pass = "容器组尚未结束 · its pod has not ended yet", True
            else:
                pod = self._current(declared, pods)
                if pod is not None and is_ready(pod):
                    return str(pod["metadata"]["name"])
                reason, may_pass = self._reason(declared, pod, began_at)
            troubled_since = (troubled_since or now) if reason else None
            has_lasted = troubled_since is not None and now - troubled_since > patience_s
            if reason and (not may_pass or (has_lasted and declared["spec"]["replicas"])):
                raise FailedError(reason)
            if now - started > timeout_s:
                reason = reason or self._refusal(declared, EVER)
                late = f"{timeout_s:.0f} 秒内未就绪 · not ready within {timeout_s:.0f} s"
                raise FailedError(reason or late)
            time.sleep(POLL_S)

    def _declared(self) -> Json:
        return self._namespace.read("StatefulSet", self._name)

    def _pods(self, declared: Json) -> list[Json]:
        labels = declared["spec"]["selector"]["matchLabels"]
        return self._namespace.list("Pod", labels=labels)

    def _current(self, declared: Json, pods: list[Json]) -> Json | None:
        """The pod as declared now; one of an older revision is sent away."""
        status = declared.get("status", {})
        if status.get("observedGeneration", 0) < declared["metadata"]["generation"]:
            return None
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                continue
            if pod["metadata"]["labels"].get(REVISION) == status.get("updateRevision"):
                return pod
            self._namespace.delete("Pod", pod["metadata"]["name"])
            self.has_changed = True
        return None

    def _reason(self, declared: Json, pod: Json | None, began_at: datetime) -> tuple[str, bool]:
        if pod is None:
            return self._refusal(declared, began_at), False
        trouble = trouble_of(pod)
        return (trouble.words, trouble.may_pass) if trouble else ("", True)

    def _refusal(self, declared: Json, since: datetime) -> str:
        """Why no pod is made. What was refused before may have been put right since."""
        return refusal_of(self._namespace.list("Event", of=declared["metadata"]["uid"]), since)
