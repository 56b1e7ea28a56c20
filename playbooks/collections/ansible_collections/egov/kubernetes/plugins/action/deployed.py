"""A Deployment, awaited until it runs as declared; the options stand in modules/deployed.py."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar

from ansible_collections.egov.kubernetes.plugins.plugin_utils.applications import (
    Thing,
    crashed_container,
    has_arrived,
    last_words,
    newest_set,
    pods_of,
    unready_words,
)
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
from ansible_collections.egov.kubernetes.plugins.plugin_utils.reach import node_ports_of
from ansible_collections.egov.kubernetes.plugins.plugin_utils.reasons import (
    is_ready,
    refusal_of,
    trouble_of,
)
from kubernetes.client.exceptions import ApiException

POLL_S = 0.2
#: Of what a container wrote before it crashed.
LOG_LINES, LOG_BYTES = 80, 16384


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[Json] = {
        **ClusterAction.ARGUMENTS,
        "definition": {"type": "str", "default": ""},
        "scale_to": {"type": "int"},
        "timeout_s": {"type": "int", "default": 90},
        "patience_s": {"type": "int", "default": 20},
    }

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        deployment, name = Deployment(namespace, wanted["name"]), wanted["name"]
        has_changed = apply(namespace, documents_of(wanted["definition"]))
        if wanted["scale_to"] is not None:
            if not deployment.scale(wanted["scale_to"]):
                return {"changed": has_changed}
            has_changed = True
        deployment.wait(wanted["timeout_s"], wanted["patience_s"])
        return {"changed": has_changed, "node_ports": node_ports_of(namespace, name)}


class Deployment:
    def __init__(self, namespace: Namespace, name: str) -> None:
        self._namespace, self._name = namespace, name

    def scale(self, replicas: int) -> bool:
        """Whether that was a change. One that is not there has none."""
        declared = self._namespace.find("Deployment", self._name)
        has = declared["spec"]["replicas"] if declared else 0
        if has == replicas:
            return False
        body = {"spec": {"replicas": replicas}}
        self._namespace.merge("Deployment", self._name, body, part="scale")
        return True

    def wait(self, timeout_s: float, patience_s: float) -> None:
        """Raises FailedError."""
        started, began_at = time.monotonic(), datetime.now(UTC)
        troubled_since: float | None = None
        while True:
            now = time.monotonic()
            declared = self._declared()
            if has_arrived(declared) and not (
                declared["spec"]["replicas"] == 0 and self._pods(declared)
            ):
                return
            newest = self._newest(declared)
            reason, may_pass = self._reason(newest, declared, began_at)
            troubled_since = (troubled_since or now) if reason else None
            has_lasted = troubled_since is not None and now - troubled_since > patience_s
            if reason and (not may_pass or has_lasted):
                raise FailedError(reason, is_final=not may_pass)
            if now - started > timeout_s:
                raise FailedError(self._late(newest, declared, timeout_s), is_final=True)
            time.sleep(POLL_S)

    def _declared(self) -> Json:
        return self._namespace.read("Deployment", self._name)

    def _pods(self, declared: Json) -> list[Json]:
        labels = declared["spec"]["selector"]["matchLabels"]
        return self._namespace.list("Pod", labels=labels)

    def _newest(self, declared: Json) -> Thing | None:
        labels = declared["spec"]["selector"]["matchLabels"]
        return newest_set(declared, self._namespace.list("ReplicaSet", labels=labels))

    def _reason(self, newest: Thing | None, declared: Json, began_at: datetime) -> tuple[str, bool]:
        if newest is None or declared["spec"]["replicas"] == 0:
            return "", True
        pods = pods_of(newest, self._pods(declared))
        for pod in pods:
            trouble = trouble_of(pod)
            if trouble is not None:
                return f"{trouble.words}{self._said_by(pod)}", trouble.may_pass
        # No word while pods come one after another: only where there is not even one to come.
        if all(is_ready(pod) for pod in pods):
            return refusal_of(
                self._namespace.list("Event", of=newest["metadata"]["uid"]), began_at
            ), True
        return "", True

    def _said_by(self, pod: Thing) -> str:
        """What a container that crashed wrote last."""
        container = crashed_container(pod)
        if not container:
            return ""
        try:
            log = self._namespace.log(
                pod["metadata"]["name"], container, lines=LOG_LINES, limit_bytes=LOG_BYTES
            )
        except ApiException:
            return ""
        words = last_words(log)
        return f"：\n{words}" if words else ""

    def _late(self, newest: Thing | None, declared: Json, timeout_s: float) -> str:
        containers = declared["spec"]["template"]["spec"]["containers"]
        path = containers[0].get("readinessProbe", {}).get("httpGet", {}).get("path", "/")
        events: list[Json] = []
        for pod in pods_of(newest, self._pods(declared)) if newest else []:
            if not is_ready(pod):
                events += self._namespace.list("Event", of=pod["metadata"]["uid"])
        return unready_words(events, path, timeout_s)
