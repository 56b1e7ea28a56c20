"""A worker that is killed at a chosen moment: `python -m tests.lab.faults.dying_worker SETTINGS
MOMENT`, where SETTINGS is a file of settings as JSON and MOMENT one of `MOMENTS`.

It ends by SIGKILL, as `kill -9` would end it, and so runs no line after the moment.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from controlplane.app import build, build_clouds
from controlplane.config import Settings
from controlplane.delivery import Delivery, Run
from controlplane.provisioning.service import Step
from controlplane.worker import Worker

#: Between them lies at most one transaction.
MOMENTS = (
    "after_claim",
    "run_started",
    "task_under_way",
    "run_ended",
)
#: Long enough for a port and a server to be asked for, too short for the run's end.
UNDER_WAY_SECONDS = 0.8


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingDelivery(Delivery):
    moment = ""

    def claim(self, worker: str) -> Run | None:
        run = super().claim(worker)
        if run is not None and self.moment == "after_claim":
            die()
        return run

    def note_process(self, run: Run, host: str, pgid: int) -> None:
        if self.moment == "run_started":
            die()
        super().note_process(run, host, pgid)

    def record_steps(self, run: Run, steps: Iterable[Step]) -> None:
        steps = list(steps)
        super().record_steps(run, steps)
        if any(step.ordinal > 0 for step in steps) and self.moment == "task_under_way":
            threading.Timer(UNDER_WAY_SECONDS, die).start()

    def complete(
        self, run: Run, outputs: Mapping[str, Any], secrets: Mapping[str, str] | None = None
    ) -> None:
        if self.moment == "run_ended":
            die()
        super().complete(run, outputs, secrets)


def main() -> None:
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    control_plane = build(settings)
    delivery = DyingDelivery(
        control_plane.db, control_plane.catalogue, settings, control_plane.clock
    )
    delivery.moment = sys.argv[2]
    Worker(delivery, settings, build_clouds(settings)).start()
    signal.pause()


if __name__ == "__main__":
    main()
