#!/usr/bin/python
"""Declares a StatefulSet of one replica or none, and waits until it runs so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Declare a StatefulSet and wait until it runs so
description:
  - Applies C(definition) first, as the field manager C(egov).
  - For a StatefulSet of at most one replica with the update strategy C(OnDelete). A pod of an older revision is deleted,
    ready or not, so that a change that never worked does not stand in the way of the one that undoes it.
  - Fails as soon as it is known why the pod will not be ready, with that reason in words.
author: Government cloud platform team
options:
  name: {description: Of the StatefulSet., type: str, required: true}
  namespace: {description: Where it stands., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  definition:
    description: The StatefulSet with what belongs to it, as YAML documents; nothing where they are applied already.
    type: str
    default: ""
  timeout_s: {description: How long to wait., type: int, default: 120}
  patience_s:
    description: How long to wait for what may pass by itself, such as a node that has no room now.
    type: int
    default: 20
  reachable_at:
    description: Where the node ports of the Service of the same name must answer before it is done; nothing for nowhere.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Wait for the server
  egov.kubernetes.rollout:
    name: postgresql-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
    definition: "{{ lookup('ansible.builtin.template', 'server.yml.j2') }}"
"""

RETURN = r"""
pod: {description: Name of the pod that runs; empty for no replica., type: str, returned: success}
node_ports: {description: Of the Service, by name; with C(reachable_at)., type: dict, returned: success}
"""

import os
import time
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.kubernetes.plugins.module_utils.declared import RefusedError, apply
from ansible_collections.egov.kubernetes.plugins.module_utils.reach import (
    UnreachableError,
    node_ports_of,
    wait_for_ports,
)
from ansible_collections.egov.kubernetes.plugins.module_utils.reasons import (
    is_ready,
    refusal_of,
    trouble_of,
)

POLL_S = 0.3
#: A Service answers a moment after its pod is ready.
REACH_S = 30
EVER = datetime.fromtimestamp(0, UTC)
REVISION = "controller-revision-hash"


class NeverReadyError(Exception):
    """The text is the reason."""


class Rollout:
    def __init__(self, api: Any, name: str, namespace: str) -> None:
        from kubernetes import client

        self._core, self._apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self._plain = api.sanitize_for_serialization
        self._name, self._namespace = name, namespace
        self.has_changed = False

    def wait(self, timeout_s: float, patience_s: float) -> str:
        """The name of the pod that runs, or nothing for no replica. Raises NeverReadyError."""
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
                raise NeverReadyError(reason)
            if now - started > timeout_s:
                reason = reason or self._refusal(declared, EVER)
                late = f"{timeout_s:.0f} 秒内未就绪 · not ready within {timeout_s:.0f} s"
                raise NeverReadyError(reason or late)
            time.sleep(POLL_S)

    def reach(self, address: str) -> dict[str, int]:
        """The node ports, once they answer there. Raises UnreachableError."""
        ports = node_ports_of(self._core, self._name, self._namespace)
        wait_for_ports(address, ports, REACH_S)
        return ports

    def _declared(self) -> Any:
        return self._plain(self._apps.read_namespaced_stateful_set(self._name, self._namespace))

    def _pods(self, declared: Any) -> list[Any]:
        labels = declared["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found = self._core.list_namespaced_pod(self._namespace, label_selector=selector)
        return list(self._plain(found)["items"])

    def _current(self, declared: Any, pods: list[Any]) -> Any:
        """The pod as declared now; one of an older revision is sent away."""
        status = declared.get("status", {})
        if status.get("observedGeneration", 0) < declared["metadata"]["generation"]:
            return None
        for pod in pods:
            if pod["metadata"].get("deletionTimestamp"):
                continue
            if pod["metadata"]["labels"].get(REVISION) == status.get("updateRevision"):
                return pod
            self._core.delete_namespaced_pod(pod["metadata"]["name"], self._namespace)
            self.has_changed = True
        return None

    def _reason(self, declared: Any, pod: Any, began_at: datetime) -> tuple[str, bool]:
        if pod is None:
            return self._refusal(declared, began_at), False
        trouble = trouble_of(pod)
        return (trouble.words, trouble.may_pass) if trouble else ("", True)

    def _refusal(self, declared: Any, since: datetime) -> str:
        """Why no pod is made. What was refused before may have been put right since."""
        uid = declared["metadata"]["uid"]
        events = self._core.list_namespaced_event(
            self._namespace, field_selector=f"involvedObject.uid={uid}"
        )
        return refusal_of(self._plain(events)["items"], since)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "context": {"type": "str", "required": True},
            "definition": {"type": "str", "default": ""},
            "timeout_s": {"type": "int", "default": 120},
            "patience_s": {"type": "int", "default": 20},
            "reachable_at": {"type": "str", "default": ""},
        }
    )
    from kubernetes import config

    values = module.params
    api = config.new_client_from_config(
        os.environ.get("K8S_AUTH_KUBECONFIG"), context=values["context"]
    )
    rollout = Rollout(api, values["name"], values["namespace"])
    ports: dict[str, int] = {}
    try:
        rollout.has_changed = apply(api, values["definition"])
        pod = rollout.wait(values["timeout_s"], values["patience_s"])
        if pod and values["reachable_at"]:
            ports = rollout.reach(values["reachable_at"])
    except (RefusedError, NeverReadyError, UnreachableError) as reason:
        module.fail_json(msg=f"{values['name']}: {reason}")
    module.exit_json(changed=rollout.has_changed, pod=pod, node_ports=ports)


if __name__ == "__main__":
    main()
