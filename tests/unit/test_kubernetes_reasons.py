"""Why a pod never becomes ready: in words, and whether to wait."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.kubernetes.plugins.plugin_utils import reasons


def pod(reason: str = "", last: dict[str, Any] | None = None, **waiting: str) -> dict[str, Any]:
    status = {
        "name": "main",
        "image": "city/database:15",
        "state": {"waiting": {"reason": reason, **waiting}} if reason else {"running": {}},
        "lastState": {"terminated": last} if last else {},
    }
    limits = {"limits": {"memory": "1024Mi"}}
    return {
        "spec": {"containers": [{"name": "main", "resources": limits}]},
        "status": {"containerStatuses": [status]},
    }


@pytest.mark.parametrize(
    ("found", "words", "may_pass"),
    [
        (pod("ErrImageNeverPull"), "the node has no image city/database:15", False),
        (pod("ImagePullBackOff"), "the image city/database:15 cannot be pulled", True),
        (pod("CrashLoopBackOff", {"exitCode": 3}), "(exit status 3)", False),
        (
            pod("CrashLoopBackOff", {"exitCode": 137, "reason": "OOMKilled"}),
            "for want of memory (limit 1024Mi)",
            False,
        ),
        (
            pod("CreateContainerConfigError", message='secret "x" not found'),
            'configuration is wrong: secret "x" not found',
            False,
        ),
    ],
)
def test_a_container_that_does_not_start_says_why(
    found: dict[str, Any], words: str, may_pass: bool
) -> None:
    trouble = reasons.trouble_of(found)
    assert trouble is not None
    assert words in trouble.words
    assert trouble.may_pass is may_pass


def test_a_pod_that_no_node_takes_may_be_taken_later() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "Insufficient memory."}
    trouble = reasons.trouble_of({"spec": {}, "status": {"conditions": [condition]}})
    assert trouble == reasons.Trouble(
        "没有节点放得下 · no node takes it: Insufficient memory.", True
    )


def test_a_pod_on_its_way_has_no_trouble() -> None:
    assert reasons.trouble_of(pod("ContainerCreating")) is None
    assert reasons.trouble_of(pod()) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            'create Pod db-0 failed: pods "db-0" is forbidden: exceeded quota: egov, requested: '
            "limits.cpu=8",
            "the namespace's quota is too small: exceeded quota: egov, requested: limits.cpu=8",
        ),
        (
            'pods "db-0" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot',
            "against the namespace's security level: violates PodSecurity",
        ),
        ("no such account", "the cluster refuses the pod: no such account"),
    ],
)
def test_a_pod_that_is_never_made_says_who_refused_it(said: str, words: str) -> None:
    event = {"reason": "FailedCreate", "message": said, "lastTimestamp": "2026-11-24T10:00:00Z"}
    at = datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert words in reasons.refusal_of([event], since=at)
    assert reasons.refusal_of([event | {"reason": "SuccessfulCreate"}], since=at) == ""
    assert reasons.refusal_of([event], since=at + timedelta(minutes=1)) == "", "put right since"
