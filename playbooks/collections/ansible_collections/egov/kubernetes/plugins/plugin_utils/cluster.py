"""The cluster's API, plain objects in and out.

Not by the client's typed classes: to have one of them makes hundreds of models, 0.7 s of a processor at every start
(measured), and nothing of ours reads more of an object than a few fields.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config

Json = dict[str, Any]

NOT_FOUND, CONFLICT = 404, 409
#: Of one call: to connect, and to wait for its answer.
TIMEOUT_S = (5, 60)
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
FIELD_MANAGER = "egov"
#: kind -> (API group with its version, the kind's name in addresses)
KINDS = {
    "ConfigMap": ("api/v1", "configmaps"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "Event": ("api/v1", "events"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
    "Pod": ("api/v1", "pods"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Secret": ("api/v1", "secrets"),
    "Service": ("api/v1", "services"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
}

WORKLOADS = ("Deployment", "StatefulSet")


class FailedError(Exception):
    """The text is the reason, in words; `told` stands in the task's result beside it."""

    def __init__(self, reason: str, **told: Any) -> None:
        super().__init__(reason)
        self.told = told


class Namespace:
    """One namespace of the cluster that `context` of the run's kubeconfig names.

    A kind is named as in manifests. Each call raises kubernetes' ApiException for whatever it does not answer.
    """

    def __init__(self, context: str, name: str) -> None:
        self.name = name
        self._api: ApiClient = new_client_from_config(
            os.environ.get("K8S_AUTH_KUBECONFIG"), context=context
        )

    def read(self, kind: str, name: str) -> Json:
        return self._json("GET", address(kind, self.name, name))

    def find(self, kind: str, name: str) -> Json | None:
        """As `read`; None where there is none."""
        try:
            return self.read(kind, name)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def list(
        self, kind: str, *, labels: Mapping[str, Any] | None = None, of: str = ""
    ) -> list[Json]:
        """Those that carry all of the labels (a label without a value: None); or events of one object, by its uid."""
        query: Json = {}
        if labels:
            pairs = (k if v is None else f"{k}={v}" for k, v in sorted(labels.items()))
            query["labelSelector"] = ",".join(pairs)
        if of:
            query["fieldSelector"] = f"involvedObject.uid={of}"
        return list(self._json("GET", address(kind, self.name), query)["items"])

    def create(self, kind: str, body: Json) -> bool:
        """False where one of that name is there already, which is left as it is."""
        try:
            self._json("POST", address(kind, self.name), body=body)
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            return False
        return True

    def merge(self, kind: str, name: str, body: Json, part: str = "") -> Json:
        """What `body` names becomes as it says; `part`: of a subresource."""
        return self._json("PATCH", address(kind, self.name, name, part), body=body, sends=MERGE)

    def apply(self, document: Json) -> Json:
        """Server-side apply, as the field manager of this collection."""
        where = address(document["kind"], self.name, document["metadata"]["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._json("PATCH", where, query, document, sends=APPLY)

    def delete(self, kind: str, name: str) -> bool:
        """False where there is none. One that makes pods is gone when they are."""
        body = {"propagationPolicy": "Foreground"} if kind in WORKLOADS else None
        try:
            self._json("DELETE", address(kind, self.name, name), body=body)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    def log(self, pod: str, container: str, *, lines: int, limit_bytes: int) -> str:
        """The end of what a container wrote before it last ended."""
        query = {
            "container": container,
            "previous": "true",
            "tailLines": str(lines),
            "limitBytes": str(limit_bytes),
        }
        said = self._call("GET", address("Pod", self.name, pod, "log"), query, None, "")
        return said.decode("utf-8", "replace")

    def _json(
        self,
        method: str,
        path: str,
        query: Json | None = None,
        body: Json | None = None,
        sends: str = "application/json",
    ) -> Json:
        found: Json = json.loads(self._call(method, path, query, body, sends))
        return found

    def _call(
        self, method: str, path: str, query: Json | None, body: Json | None, sends: str
    ) -> bytes:
        headers = {"Accept": "application/json"} | ({"Content-Type": sends} if body else {})
        verb, url, headers, sent, _ = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(verb, url, headers, sent, _request_timeout=TIMEOUT_S)
        content: bytes = answer.read()
        if not 200 <= answer.status <= 299:
            raise ApiException.from_response(http_resp=answer, body=None, data=None)
        return content


def address(kind: str, namespace: str, name: str = "", part: str = "") -> str:
    """Of one object, of its subresource, or of all of the kind."""
    group, plural = KINDS[kind]
    return "/".join(filter(None, (f"/{group}/namespaces", namespace, plural, name, part)))


def words_of(error: ApiException) -> str:
    """The API server's reason, in its words."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
