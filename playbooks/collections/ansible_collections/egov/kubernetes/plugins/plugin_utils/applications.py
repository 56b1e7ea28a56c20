"""Whether a Deployment has arrived, and why its newest pods are not ready, in words; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Thing = Mapping[str, Any]

REVISION = "deployment.kubernetes.io/revision"
LOG_LINES, LOG_CHARACTERS = 6, 600
#: What gunicorn ends with when no worker has come up, and how its own lines begin.
HALTED = "HaltServer"
SERVER_SAYS = re.compile(r"\[[^]]+\] \[\d+\] \[INFO\]")
STATUS = re.compile(r"statuscode: (\d{3})")


def has_arrived(deployment: Thing) -> bool:
    """Every replica is of the newest revision and takes visitors, and no older one is left."""
    status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
    if (status.get("observedGeneration") or 0) < deployment["metadata"]["generation"]:
        return False
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return all((status.get(count) or 0) == wanted for count in counts)


def newest_set(deployment: Thing, sets: Iterable[Thing]) -> Thing | None:
    """The ReplicaSet of the deployment's present revision; None until its controller has made it."""
    status = deployment.get("status") or {}
    if (status.get("observedGeneration") or 0) < deployment["metadata"]["generation"]:
        return None
    revision = (deployment["metadata"].get("annotations") or {}).get(REVISION)
    for one in sets:
        if (one["metadata"].get("annotations") or {}).get(REVISION) == revision:
            return one
    return None


def pods_of(replica_set: Thing, pods: Iterable[Thing]) -> list[Thing]:
    uid = replica_set["metadata"]["uid"]
    return [
        pod
        for pod in pods
        if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or [])
    ]


def crashed_container(pod: Thing) -> str:
    """The container that ends again and again; empty if none does."""
    status = pod.get("status", {})
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in every:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") == "CrashLoopBackOff":
            return str(container["name"])
    return ""


def last_words(log: str) -> str:
    """The end of what an application wrote, short enough for a message; what its server says of
    itself as it gives up is left out, for the application's own error stands before that."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    halted = next((i for i, line in enumerate(lines) if HALTED in line), None)
    if halted is not None:
        logged = [i for i, line in enumerate(lines[:halted]) if SERVER_SAYS.match(line)]
        lines = lines[: logged[-1]] if logged else lines
    lines = [line for line in lines if not SERVER_SAYS.match(line)] or lines
    return "\n".join(lines[-LOG_LINES:])[-LOG_CHARACTERS:]


def unready_words(events: Iterable[Thing], path: str, seconds: float) -> str:
    """Why the readiness probe has not passed: what the newest of its failures says."""
    failures = [
        event
        for event in events
        if event.get("reason") == "Unhealthy" and "Readiness" in (event.get("message") or "")
    ]
    failures.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    said = failures[-1]["message"] if failures else ""
    late = f"{seconds:.0f} 秒内未就绪 · not ready within {seconds:.0f} s"
    if not said:
        return late
    if status := STATUS.search(said):
        code = status.group(1)
        return f"{late}：{path} 返回 {code} · {path} answers {code}"
    if "connection refused" in said:
        return f"{late}：没有程序监听端口 · nothing listens on its port"
    if "Client.Timeout" in said or "deadline exceeded" in said:
        return f"{late}：{path} 迟迟不应答 · {path} does not answer in time"
    return f"{late}：{said}"
