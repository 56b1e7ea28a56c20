"""Whether pods run here, decided once for a state, and the one door to the node.

`lab.kubernetes.node` is imported by nothing else of the launcher. It offers

    probe(paths) -> str                   why no node can run here; empty if one can
    prepare(context, progress)            programs, Debian tools, images
    up(context, progress) -> bool         namespaces, network, containerd, unless there; whether new
    wait_ready(context)                   until the node takes pods
    down(paths) -> bool                   ends it and takes it off the machine; whether it ran
    status(context) -> Node               what runs now
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab.errors import LabError
from lab.kubernetes import node
from lab.kubernetes.paths import Paths
from lab.progress import Progress
from lab.settings import Settings

NEED_ROOT = "pods need root"


@dataclass(frozen=True)
class Choice:
    """What stands behind a pod, and why."""

    pods: str
    reason: str


def choose(settings: Settings, paths: Paths, progress: Progress) -> Choice:
    """Decides for a new state. Raises LabError if `real` is demanded and cannot be had."""
    wanted = settings.kubernetes.pods
    if wanted == "none":
        return Choice("none", "chosen in the settings")
    why_not = NEED_ROOT
    if os.geteuid() == 0:
        with progress.step("can pods run here?"):
            why_not = node.probe(paths)
    if not why_not:
        return Choice("real", "a node can run on this machine")
    if wanted == "real":
        raise LabError(
            f"pods cannot run here: {why_not}; LAB_KUBERNETES__PODS=none starts the control "
            "plane without a node"
        )
    return Choice("none", why_not)
