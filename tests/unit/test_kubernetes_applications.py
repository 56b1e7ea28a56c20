"""Whether a Deployment has arrived, and why its pods are not ready; an archive in parts."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from controlplane.config import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "playbooks" / "collections"))
from ansible_collections.egov.kubernetes.plugins.action import archive_parts
from ansible_collections.egov.kubernetes.plugins.plugin_utils import applications

REVISION = {applications.REVISION: "2"}


def deployment(wanted: int = 2, generation: int = 3, **status: int) -> dict[str, Any]:
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, **status}
    return {
        "metadata": {"generation": generation, "annotations": REVISION},
        "spec": {"replicas": wanted},
        "status": {"observedGeneration": 3, **counts},
    }


@pytest.mark.parametrize(
    ("found", "arrived"),
    [
        (deployment(), True),
        (deployment(generation=4), False),
        (deployment(updatedReplicas=1), False),
        (deployment(replicas=3), False),
        (deployment(availableReplicas=1), False),
        (deployment(wanted=0, replicas=0, updatedReplicas=0, availableReplicas=0), True),
        ({**deployment(), "status": {}}, False),
    ],
)
def test_a_deployment_has_arrived(found: dict[str, Any], arrived: bool) -> None:
    assert applications.has_arrived(found) is arrived


def test_only_pods_of_the_newest_revision_count() -> None:
    old = {"metadata": {"uid": "old", "annotations": {applications.REVISION: "1"}}}
    new = {"metadata": {"uid": "new", "annotations": REVISION}}
    assert applications.newest_set(deployment(), [old, new]) is new
    assert applications.newest_set(deployment(generation=4), [old, new]) is None
    pods = [{"metadata": {"ownerReferences": [{"uid": uid}]}} for uid in ("old", "new")]
    assert applications.pods_of(new, pods) == [pods[1]]


def event(message: str, at: str = "2026-11-28T10:00:00Z") -> dict[str, str]:
    return {"reason": "Unhealthy", "lastTimestamp": at, "message": f"Readiness probe {message}"}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "not ready within 60 s"),
        ([event("failed: HTTP probe failed with statuscode: 500")], "/up answers 500"),
        ([event('failed: Get "http://10.0.0.1": connection refused')], "nothing listens"),
        ([event("failed: context deadline exceeded")], "/up does not answer in time"),
        ([event("failed: something else")], "something else"),
        ([{"reason": "Unhealthy", "message": "Liveness probe failed"}], "within 60 s"),
        (
            [
                event("failed: HTTP probe failed with statuscode: 404", "2026-11-28T10:00:09Z"),
                event('failed: Get "http://10.0.0.1": connection refused'),
            ],
            "/up answers 404",
        ),
    ],
)
def test_why_a_probe_has_not_passed(events: list[dict[str, str]], words: str) -> None:
    assert words in applications.unready_words(events, "/up", 60)


def test_the_last_words_of_an_application_are_short() -> None:
    log = (
        "\n".join(f"line {i}" for i in range(99)) + "\n\nModuleNotFoundError: No module named 'x'\n"
    )
    assert applications.last_words(log).splitlines()[-1].startswith("ModuleNotFoundError")
    assert len(applications.last_words(log).splitlines()) == applications.LOG_LINES
    assert len(applications.last_words("x" * 5000)) == applications.LOG_CHARACTERS
    assert applications.last_words("") == ""


@pytest.mark.parametrize(
    ("state", "name"),
    [({"waiting": {"reason": "CrashLoopBackOff"}}, "main"), ({"running": {}}, ""), ({}, "")],
)
def test_the_container_that_crashed(state: dict[str, Any], name: str) -> None:
    pod = {"status": {"containerStatuses": [{"name": "main", "state": state}]}}
    assert applications.crashed_container(pod) == name


def test_an_archive_in_parts_is_the_archive_again() -> None:
    content = bytes(range(256)) * 8000
    parts = archive_parts.parts_of("webapp-1", content, "ab" * 32)
    assert next(iter(parts)) == "webapp-1-abababababab-000"
    assert all(len(chunk) <= archive_parts.PART_BYTES for _, chunk in parts.values())
    assert len(parts) == 3
    assert b"".join(chunk for _, chunk in sorted(parts.values())) == content


def test_an_application_s_own_error_is_told_and_not_how_its_server_gave_up() -> None:
    log = """\
[2026-11-29 19:27:11 +0000] [1] [INFO] Starting gunicorn 20.1.0
[2026-11-29 19:27:12 +0000] [7] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/srv/app/app.py", line 1, in <module>
    import no_such_library
ModuleNotFoundError: No module named 'no_such_library'
[2026-11-29 19:27:12 +0000] [7] [INFO] Worker exiting (pid: 7)
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/gunicorn/arbiter.py", line 202, in run
    self.manage_workers()
  File "/usr/lib/python3/dist-packages/gunicorn/arbiter.py", line 242, in handle_chld
    self.reap_workers()
  File "/usr/lib/python3/dist-packages/gunicorn/arbiter.py", line 525, in reap_workers
    raise HaltServer(reason, self.WORKER_BOOT_ERROR)
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>
"""
    told = applications.last_words(log).splitlines()
    assert told[-1] == "ModuleNotFoundError: No module named 'no_such_library'"
    assert applications.last_words("a\n\nb\n") == "a\nb"
