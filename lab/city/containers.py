"""The cluster of `make run`: started where its programs are built, else built meanwhile."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from rich.console import Console

from lab.errors import LabError
from lab.kubernetes import builds, cluster, paths
from lab.progress import Progress
from lab.settings import Settings

#: Building takes some ten minutes of both cores; whatever else runs goes first.
NICE = 19


@dataclass
class Containers:
    """`has_pods`: the cluster runs, and pods on it. Where they never will, it is said why."""

    settings: Settings
    progress: Progress
    console: Console
    has_pods: bool = False
    _building: threading.Thread | None = None
    _trouble: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Starts it, which takes seconds, or begins to build it where it was never built."""
        made = paths.paths_of(self.settings).made
        if builds.are_built(made, (builds.KUBERNETES, *builds.NODE)):
            self._start()
        elif os.geteuid() != 0:
            self._left_out("pods need root")
        else:
            self.console.print(
                "  容器平台正在后台编译，首次约十分钟 · Kubernetes is built meanwhile, the first "
                "time some ten minutes",
                soft_wrap=True,
            )
            self._building = threading.Thread(target=self._build, daemon=True)
            self._building.start()

    @property
    def is_building(self) -> bool:
        return self._building is not None

    def finish(self) -> None:
        """Waits until it is built, and starts it."""
        if self._building is None:
            return
        with self.progress.step("Kubernetes: the rest of the build"):
            self._building.join()
        self._building = None
        if self._trouble:
            self._left_out(self._trouble[0])
        else:
            self._start()

    def _build(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            cluster.build(self.settings, self.progress)
        except (LabError, OSError) as error:
            self._trouble.append(str(error))

    def _start(self) -> None:
        try:
            status = cluster.start(self.settings, self.progress)
        except LabError as error:
            self._left_out(str(error))
            return
        self.has_pods = status.pods == "real"
        if not self.has_pods:
            self._left_out(f"no pod runs: {status.reason}")

    def _left_out(self, reason: str) -> None:
        self.console.print(
            "  容器平台未接入，目录中相应套餐不提供 · no Kubernetes, and the catalogue offers "
            f"nothing that stands on it ({reason})",
            markup=False,
        )
