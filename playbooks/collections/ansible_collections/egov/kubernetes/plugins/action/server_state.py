"""What there is of a server, its secrets drawn once; the options stand in modules/server_state.py."""

from __future__ import annotations

import base64
import secrets
import string
from pathlib import Path
from typing import ClassVar

from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster import Json, Namespace
from ansible_collections.egov.kubernetes.plugins.plugin_utils.cluster_action import ClusterAction
from ansible_collections.egov.kubernetes.plugins.plugin_utils.identities import (
    is_near_its_end,
    made_identity,
)
from ansible_collections.egov.kubernetes.plugins.plugin_utils.reach import (
    node_ports_of,
    wait_for_ports,
)

PASSWORD_LENGTH = 32
#: Marks a server that runs for the time of a backup only.
WOKEN = "egov/woken"


class ActionModule(ClusterAction):
    ARGUMENTS: ClassVar[Json] = {
        **ClusterAction.ARGUMENTS,
        "draws": {"type": "bool", "default": False},
        "labels": {"type": "dict", "default": {}},
        "dns": {"type": "str", "default": ""},
        "address": {"type": "str", "required": True},
        "ca_file": {"type": "path"},
        "ca_key_file": {"type": "path", "no_log": False},
        "days": {"type": "int", "default": 1200},
        "reachable_s": {"type": "int", "default": 0},
    }
    REQUIRED_IF: ClassVar[list[tuple[str, object, tuple[str, ...]]]] = [
        ("draws", True, ("dns", "ca_file", "ca_key_file"))
    ]

    def act(self, namespace: Namespace, wanted: Json) -> Json:
        state, ports = State(namespace, wanted), node_ports_of(namespace, wanted["name"])
        password = state.password()
        if wanted["reachable_s"]:
            wait_for_ports(wanted["address"], ports, wanted["reachable_s"])
        return {
            "changed": state.has_changed,
            "password": password,
            "storage_gib": state.claimed_gib(wanted["name"]),
            "log_gib": state.claimed_gib(f"{wanted['name']}-log"),
            "node_ports": ports,
            "sleeps": state.sleeps(),
        }


class State:
    def __init__(self, namespace: Namespace, wanted: Json) -> None:
        self._namespace, self._wanted, self._name = namespace, wanted, wanted["name"]
        self.has_changed = False

    def password(self) -> str:
        """Drawn first where that is asked for and there is none."""
        found = self._namespace.find("Secret", self._name)
        if self._wanted["draws"]:
            if found is None:
                self._draw()
                found = self._namespace.read("Secret", self._name)
            elif is_near_its_end(base64.b64decode(found["data"]["tls.crt"]), self._wanted["days"]):
                body = {"stringData": self._identity()}
                self._namespace.merge("Secret", self._name, body)
                self.has_changed = True
        return base64.b64decode(found["data"]["password"]).decode("ascii") if found else ""

    def claimed_gib(self, name: str) -> int:
        """Of a volume; 0 where there is none."""
        claim = self._namespace.find("PersistentVolumeClaim", name)
        asked = claim["spec"]["resources"]["requests"]["storage"] if claim else "0Gi"
        return int(asked.removesuffix("Gi"))

    def sleeps(self) -> bool:
        declared = self._namespace.find("StatefulSet", self._name)
        if declared is None:
            return False
        annotations = declared["metadata"].get("annotations") or {}
        return not declared["spec"]["replicas"] or WOKEN in annotations

    def _identity(self) -> dict[str, str]:
        wanted = self._wanted
        authority = (Path(wanted["ca_file"]).read_bytes(), Path(wanted["ca_key_file"]).read_bytes())
        key, certificate = made_identity(
            authority, wanted["dns"], wanted["address"], wanted["days"]
        )
        return {"tls.key": key, "tls.crt": certificate}

    def _draw(self) -> None:
        letters = string.ascii_letters + string.digits
        password = "".join(secrets.choice(letters) for _ in range(PASSWORD_LENGTH))
        body = {
            "metadata": {"name": self._name, "labels": self._wanted["labels"]},
            "stringData": {"password": password, **self._identity()},
        }
        self._namespace.create("Secret", body)
        self.has_changed = True
