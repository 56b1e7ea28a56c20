"""Why a pod is not ready, in words for people; pure, over objects as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Thing = Mapping[str, Any]
CLOCKS_APART = timedelta(seconds=5)

#: reason of a waiting container -> (in words, whether it may pass by itself)
_WAITING = {
    "ErrImageNeverPull": ("节点上没有镜像 {image} · the node has no image {image}", False),
    "InvalidImageName": ("镜像名 {image} 无效 · {image} is no image's name", False),
    "ErrImagePull": ("无法拉取镜像 {image} · the image {image} cannot be pulled", True),
    "ImagePullBackOff": ("无法拉取镜像 {image} · the image {image} cannot be pulled", True),
    "CreateContainerConfigError": ("容器配置有误 · its configuration is wrong: {message}", False),
    "CreateContainerError": ("容器无法创建 · the container cannot be made: {message}", True),
    "RunContainerError": ("容器无法启动 · the container cannot be started: {message}", False),
    "CrashLoopBackOff": (
        "启动后反复退出（退出码 {exit_code}） · it ends again and again after its start"
        " (exit status {exit_code})",
        False,
    ),
}
_OUT_OF_MEMORY = (
    "内存不足被终止（上限 {memory}） · it was ended for want of memory (limit {memory})"
)


@dataclass(frozen=True)
class Trouble:
    """`may_pass`: not yet a reason to give up."""

    words: str
    may_pass: bool


def trouble_of(pod: Thing) -> Trouble | None:
    """What keeps a pod from being ready; None while nothing is known to."""
    status = pod.get("status", {})
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            said = condition.get("message", "")
            return Trouble(f"没有节点放得下 · no node takes it: {said}", may_pass=True)
    containers = {c["name"]: c for c in pod.get("spec", {}).get("containers", [])}
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in every:
        found = _of_container(container, containers.get(container["name"], {}))
        if found is not None:
            return found
    return None


def _of_container(status: Thing, declared: Thing) -> Trouble | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    words, may_pass = _WAITING.get(waiting.get("reason", ""), ("", True))
    if not words:
        return None
    last = (status.get("lastState") or {}).get("terminated") or {}
    if last.get("reason") == "OOMKilled":
        words = _OUT_OF_MEMORY
    limits = (declared.get("resources") or {}).get("limits") or {}
    text = words.format(
        image=status.get("image") or declared.get("image", ""),
        message=waiting.get("message", ""),
        exit_code=last.get("exitCode", "?"),
        memory=limits.get("memory", "?"),
    )
    return Trouble(text, may_pass)


def refusal_of(events: Iterable[Thing], since: datetime) -> str:
    """Why the cluster makes no pod at all (a quota, a security level); empty if it has said nothing
    since then, clocks some seconds apart included."""
    refused = [
        event.get("message", "")
        for event in events
        if event.get("reason") == "FailedCreate" and _at(event) >= since - CLOCKS_APART
    ]
    if not refused:
        return ""
    said = refused[-1]
    if "exceeded quota" in said:
        detail = said[said.index("exceeded quota") :]
        return f"命名空间配额不足 · the namespace's quota is too small: {detail}"
    if "violates PodSecurity" in said:
        detail = said[said.index("violates PodSecurity") :]
        return f"不符合容器安全级别 · against the namespace's security level: {detail}"
    return f"集群拒绝创建容器组 · the cluster refuses the pod: {said}"


def _at(event: Thing) -> datetime:
    said = event.get("lastTimestamp") or event.get("eventTime")
    return datetime.fromisoformat(said) if said else datetime.fromtimestamp(0, UTC)


def is_ready(pod: Thing) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
