#!/usr/bin/python
"""What there is of a server in the cluster; its secrets are drawn once, and stay there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_state
short_description: Read what there is of a server, and draw its secrets at the first run
description:
  - One call for what several modules would read one after the other, each with a second of its own start.
  - With C(draws), the Secret of the server's name is made where there is none, with the administrator's password, a key and
    a certificate by the given authority. A password that is there is never changed; key and certificate are drawn anew where a
    third of C(days) or less is left, and the server has them from its next start on.
  - The result holds the password, so a task that calls it has C(no_log).
author: Government cloud platform team
options:
  name: {description: Of the server's Secret, Service and volume claim., type: str, required: true}
  namespace: {description: Where they stand., type: str, required: true}
  context: {description: Of the kubeconfig that the environment names., type: str, required: true}
  draws: {description: Whether to draw the secrets where there are none., type: bool, default: false}
  labels: {description: Of the Secret., type: dict, default: {}}
  dns: {description: The name in the cluster that the certificate is for., type: str, default: ""}
  address: {description: Where clients outside of the cluster reach it., type: str, required: true}
  ca_file: {description: The authority's certificate., type: path}
  ca_key_file: {description: The authority's key., type: path}
  days: {description: How long the certificate holds., type: int, default: 1200}
  reachable_s: {description: How long to wait until its ports answer at the address; 0 for not at all., type: int, default: 0}
"""

EXAMPLES = r"""
- name: What there is
  egov.kubernetes.server_state:
    name: postgresql-1a2b3c
    namespace: egov-civil-affairs-internet
    context: department
    address: 192.0.2.7
  register: server
  no_log: true
"""

RETURN = r"""
password: {description: The administrator's; empty if there is no Secret., type: str, returned: success}
storage_gib: {description: What the volume has; 0 for none., type: int, returned: success}
log_gib: {description: What the volume of its log has, whose claim's name ends with C(-log); 0 for none., type: int, returned: success}
node_ports: {description: Of its Service, by name., type: dict, returned: success}
sleeps: {description: Whether it is suspended, also where a backup has woken it and was ended half-way., type: bool, returned: success}
"""

import base64
import os
import secrets
import string
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.egov.kubernetes.plugins.module_utils.identities import (
    is_near_its_end,
    made_identity,
)
from ansible_collections.egov.kubernetes.plugins.module_utils.reach import (
    UnreachableError,
    node_ports_of,
    wait_for_ports,
)

NOT_FOUND, CONFLICT = 404, 409
PASSWORD_LENGTH = 32
#: Marks a server that runs for the time of a backup only.
WOKEN = "egov/woken"


class State:
    def __init__(self, api: Any, values: dict[str, Any]) -> None:
        from kubernetes import client

        self._core, self._apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self._values = values
        self._name, self._namespace = values["name"], values["namespace"]
        self.has_changed = False

    def password(self) -> str:
        """Drawn first where that is asked for and there is none."""
        found = self._read(self._core.read_namespaced_secret)
        if self._values["draws"]:
            if found is None:
                self._draw()
                found = self._read(self._core.read_namespaced_secret)
            elif is_near_its_end(base64.b64decode(found.data["tls.crt"]), self._values["days"]):
                self._draw_identity()
        return base64.b64decode(found.data["password"]).decode("ascii") if found else ""

    def storage_gib(self) -> int:
        return self._claimed_gib(self._name)

    def log_gib(self) -> int:
        return self._claimed_gib(f"{self._name}-log")

    def _claimed_gib(self, name: str) -> int:
        claim = self._read(self._core.read_namespaced_persistent_volume_claim, name)
        return int(claim.spec.resources.requests["storage"].removesuffix("Gi")) if claim else 0

    def node_ports(self) -> dict[str, int]:
        return node_ports_of(self._core, self._name, self._namespace)

    def sleeps(self) -> bool:
        declared = self._read(self._apps.read_namespaced_stateful_set)
        if declared is None:
            return False
        return not declared.spec.replicas or WOKEN in (declared.metadata.annotations or {})

    def _read(self, read: Any, name: str = "") -> Any:
        from kubernetes.client.exceptions import ApiException

        try:
            return read(name or self._name, self._namespace)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def _identity(self) -> dict[str, str]:
        values = self._values
        authority = (Path(values["ca_file"]).read_bytes(), Path(values["ca_key_file"]).read_bytes())
        key, certificate = made_identity(
            authority, values["dns"], values["address"], values["days"]
        )
        return {"tls.key": key, "tls.crt": certificate}

    def _draw_identity(self) -> None:
        body = {"stringData": self._identity()}
        self._core.patch_namespaced_secret(self._name, self._namespace, body)
        self.has_changed = True

    def _draw(self) -> None:
        from kubernetes.client.exceptions import ApiException

        letters = string.ascii_letters + string.digits
        password = "".join(secrets.choice(letters) for _ in range(PASSWORD_LENGTH))
        body = {
            "metadata": {"name": self._name, "labels": self._values["labels"]},
            "stringData": {"password": password, **self._identity()},
        }
        try:
            self._core.create_namespaced_secret(self._namespace, body)
        except ApiException as error:
            if error.status != CONFLICT:
                raise
        self.has_changed = True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "context": {"type": "str", "required": True},
            "draws": {"type": "bool", "default": False},
            "labels": {"type": "dict", "default": {}},
            "dns": {"type": "str", "default": ""},
            "address": {"type": "str", "required": True},
            "ca_file": {"type": "path"},
            "ca_key_file": {"type": "path", "no_log": False},
            "days": {"type": "int", "default": 1200},
            "reachable_s": {"type": "int", "default": 0},
        },
        required_if=[("draws", True, ("dns", "ca_file", "ca_key_file"))],
    )
    from kubernetes import config

    values = module.params
    api = config.new_client_from_config(
        os.environ.get("K8S_AUTH_KUBECONFIG"), context=values["context"]
    )
    state = State(api, values)
    password, storage_gib, ports = state.password(), state.storage_gib(), state.node_ports()
    if values["reachable_s"]:
        try:
            wait_for_ports(values["address"], ports, values["reachable_s"])
        except UnreachableError as reason:
            module.fail_json(msg=str(reason))
    module.exit_json(
        changed=state.has_changed,
        password=password,
        storage_gib=storage_gib,
        log_gib=state.log_gib(),
        node_ports=ports,
        sleeps=state.sleeps(),
    )


if __name__ == "__main__":
    main()
