#!/usr/bin/python
"""Waits until every replica of a Deployment is of its newest revision and ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deployed
short_description: Wait until a Deployment runs as it is declared
description:
  - Fails as soon as it is known why a pod of the newest revision will not be ready, with that reason in words and the last
    lines that the application wrote. The pods of the revision before are not touched.
  - C(is_final) in its result says that another try of the same can bring nothing else.
author: Government cloud platform team
options:
  name: {description: Of the Deployment., type: str, required: true}
  namespace: {description: Where it stands., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  scale_to: {description: Number of replicas to set first; one that is not there has none., type: int}
  timeout_s: {description: How long to wait., type: int, default: 90}
  patience_s:
    description: How long to wait for what may pass by itself, such as a node that has no room now.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Wait for the application
  egov.kubernetes.deployed:
    name: webapp-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
"""

RETURN = r"""
is_final: {description: Whether another try can bring nothing else., type: bool, returned: failure}
"""

import os
import time
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.kubernetes.plugins.module_utils.applications import (
    crashed_container,
    has_arrived,
    last_words,
    newest_set,
    pods_of,
    unready_words,
)
from ansible_collections.egov.kubernetes.plugins.module_utils.reasons import (
    is_ready,
    refusal_of,
    trouble_of,
)

POLL_S = 0.2
NOT_FOUND = 404


class NeverReadyError(Exception):
    """The text is the reason. `is_final`: the application itself is at fault."""

    def __init__(self, reason: str, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Deployment:
    def __init__(self, api: Any, name: str, namespace: str) -> None:
        from kubernetes import client

        self._core, self._apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self._plain = api.sanitize_for_serialization
        self._name, self._namespace = name, namespace

    def scale(self, replicas: int) -> bool:
        """Returns whether that was a change."""
        from kubernetes.client.exceptions import ApiException

        try:
            if self._declared()["spec"]["replicas"] == replicas:
                return False
        except ApiException as error:
            if error.status == NOT_FOUND and replicas == 0:
                return False
            raise
        body = {"spec": {"replicas": replicas}}
        self._apps.patch_namespaced_deployment_scale(self._name, self._namespace, body)
        return True

    def wait(self, timeout_s: float, patience_s: float) -> None:
        """Raises NeverReadyError."""
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
                raise NeverReadyError(reason, is_final=not may_pass)
            if now - started > timeout_s:
                raise NeverReadyError(self._late(newest, declared, timeout_s), is_final=True)
            time.sleep(POLL_S)

    def _declared(self) -> Any:
        return self._plain(self._apps.read_namespaced_deployment(self._name, self._namespace))

    def _selector(self, declared: Any) -> str:
        labels = declared["spec"]["selector"]["matchLabels"]
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))

    def _pods(self, declared: Any) -> list[Any]:
        found = self._core.list_namespaced_pod(
            self._namespace, label_selector=self._selector(declared)
        )
        return list(self._plain(found)["items"])

    def _newest(self, declared: Any) -> Any:
        found = self._apps.list_namespaced_replica_set(
            self._namespace, label_selector=self._selector(declared)
        )
        return newest_set(declared, self._plain(found)["items"])

    def _reason(self, newest: Any, declared: Any, began_at: datetime) -> tuple[str, bool]:
        if newest is None or declared["spec"]["replicas"] == 0:
            return "", True
        pods = pods_of(newest, self._pods(declared))
        for pod in pods:
            trouble = trouble_of(pod)
            if trouble is not None:
                return f"{trouble.words}{self._said_by(pod)}", trouble.may_pass
        # No word while pods come one after another: only where there is not even one to come.
        if all(is_ready(pod) for pod in pods):
            return refusal_of(self._events(newest["metadata"]["uid"]), began_at), True
        return "", True

    def _said_by(self, pod: Any) -> str:
        """What a container that crashed wrote last."""
        from kubernetes.client.exceptions import ApiException

        container = crashed_container(pod)
        if not container:
            return ""
        try:
            log = self._core.read_namespaced_pod_log(
                pod["metadata"]["name"],
                self._namespace,
                container=container,
                previous=True,
                tail_lines=80,
                limit_bytes=16384,
            )
        except ApiException:
            return ""
        words = last_words(log)
        return f"：\n{words}" if words else ""

    def _late(self, newest: Any, declared: Any, timeout_s: float) -> str:
        containers = declared["spec"]["template"]["spec"]["containers"]
        path = containers[0].get("readinessProbe", {}).get("httpGet", {}).get("path", "/")
        events: list[Any] = []
        for pod in pods_of(newest, self._pods(declared)) if newest else []:
            if not is_ready(pod):
                events += self._events(pod["metadata"]["uid"])
        return unready_words(events, path, timeout_s)

    def _events(self, uid: str) -> list[Any]:
        found = self._core.list_namespaced_event(
            self._namespace, field_selector=f"involvedObject.uid={uid}"
        )
        return list(self._plain(found)["items"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "context": {"type": "str", "required": True},
            "scale_to": {"type": "int"},
            "timeout_s": {"type": "int", "default": 90},
            "patience_s": {"type": "int", "default": 20},
        }
    )
    from kubernetes import config

    values = module.params
    api = config.new_client_from_config(
        os.environ.get("K8S_AUTH_KUBECONFIG"), context=values["context"]
    )
    deployment = Deployment(api, values["name"], values["namespace"])
    changed = False
    if values["scale_to"] is not None:
        changed = deployment.scale(values["scale_to"])
        if not changed:
            module.exit_json(changed=False)
    try:
        deployment.wait(values["timeout_s"], values["patience_s"])
    except NeverReadyError as reason:
        module.fail_json(msg=f"{values['name']}: {reason}", is_final=reason.is_final)
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
