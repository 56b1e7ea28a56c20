"""Objects of a namespace declared, patched and removed, and a failure in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.kubernetes.plugins.plugin_utils import (
    cluster,
    cluster_action,
    declared,
)

SERVER = {"kind": "StatefulSet", "metadata": {"name": "redis-1a2b3c"}}
SECRET = {"kind": "Secret", "metadata": {"name": "redis-1a2b3c"}}
SETTINGS = {"kind": "ConfigMap", "metadata": {"name": "redis-1a2b3c"}, "data": {"a": "1"}}


class Kept(cluster.Namespace):
    """What stands in a namespace, of no cluster; `lasting` stays however often it is deleted."""

    def __init__(self, *documents: cluster.Json, lasting: str = "") -> None:
        self.there: dict[str, cluster.Json] = {}
        self.done: list[tuple[str, str]] = []
        self._lasting = lasting
        for document in documents:
            self._put(document)

    def find(self, kind: str, name: str) -> cluster.Json | None:
        found = self.there.get(f"{kind} {name}")
        return found and {**found, "metadata": dict(found["metadata"])}

    def apply(self, document: cluster.Json) -> cluster.Json:
        self.done.append(("apply", document["kind"]))
        return self._put(document)

    def merge(self, kind: str, name: str, body: cluster.Json, part: str = "") -> cluster.Json:  # noqa: ARG002
        self.done.append(("merge", kind))
        return self._put(self.there[f"{kind} {name}"] | body)

    def delete(self, kind: str, name: str) -> bool:
        is_there = f"{kind} {name}" in self.there
        if is_there:
            self.done.append(("delete", kind))
        if is_there and kind != self._lasting:
            del self.there[f"{kind} {name}"]
        return is_there

    def _put(self, document: cluster.Json) -> cluster.Json:
        key = f"{document['kind']} {document['metadata']['name']}"
        before = self.there.get(key)
        version = int(before["metadata"]["resourceVersion"]) if before else 0
        is_same = before is not None and {**before, "metadata": 0} == {**document, "metadata": 0}
        metadata = document["metadata"] | {"resourceVersion": str(version + (not is_same))}
        self.there[key] = {**document, "metadata": metadata}
        return self.there[key]


def test_what_is_there_as_declared_is_no_change() -> None:
    namespace = Kept()
    assert declared.apply(namespace, [SERVER, SETTINGS])
    assert not declared.apply(namespace, [SERVER, SETTINGS])
    assert declared.apply(namespace, [SERVER, SETTINGS | {"data": {"a": "2"}}])


def test_what_is_not_there_is_not_patched_into_being() -> None:
    namespace = Kept(SETTINGS)
    assert not declared.patch(namespace, [SETTINGS])
    assert declared.patch(namespace, [SETTINGS | {"data": {"a": "2"}}])
    assert not declared.patch(namespace, [SECRET])
    assert list(namespace.there) == ["ConfigMap redis-1a2b3c"]


def test_each_goes_when_the_one_before_is_gone() -> None:
    namespace = Kept(SECRET, SERVER)
    assert declared.remove(namespace, [SERVER, SETTINGS, SECRET], timeout_s=5)
    assert namespace.done == [("delete", "StatefulSet"), ("delete", "Secret")]
    assert not declared.remove(namespace, [SERVER, SETTINGS, SECRET], timeout_s=5)


def test_a_server_that_does_not_end_keeps_its_secrets_and_is_named() -> None:
    namespace = Kept(SECRET, SERVER, lasting="StatefulSet")
    with pytest.raises(declared.RefusedError, match=r"StatefulSet redis-1a2b3c: .*not gone within"):
        declared.remove(namespace, [SERVER, SECRET], timeout_s=0)
    assert "Secret redis-1a2b3c" in namespace.there


def refused() -> NoReturn:
    error = ApiException(status=403, reason="Forbidden")
    error.body = '{"message": "pods is forbidden"}'
    raise error


def unreachable() -> NoReturn:
    raise HTTPError("nobody answers")


def given_up() -> NoReturn:
    raise cluster.FailedError("没有节点放得下 · no node takes it", is_final=True)


@pytest.mark.parametrize(
    ("fails", "result"),
    [
        (refused, {"msg": "redis-1a2b3c: pods is forbidden"}),
        (unreachable, {"msg": "Kubernetes API: nobody answers"}),
        (
            given_up,
            {"msg": "redis-1a2b3c: 没有节点放得下 · no node takes it", "is_final": True},
        ),
    ],
)
def test_a_failure_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[], NoReturn], result: dict[str, Any]
) -> None:
    class Failing(cluster_action.ClusterAction):
        def __init__(self) -> None:
            """Of no play."""

        def validate_argument_spec(self, **_: object) -> tuple[None, cluster.Json]:
            return None, {"name": "redis-1a2b3c", "namespace": "water", "context": "department"}

        def act(self, *_: object) -> NoReturn:
            fails()

    monkeypatch.setattr(cluster_action.ActionBase, "run", lambda *_: {})
    monkeypatch.setattr(cluster_action, "Namespace", lambda *_: None)
    assert Failing().run() == result | {"failed": True}
