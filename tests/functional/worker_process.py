"""A worker as a process of its own: `python -m tests.functional.worker_process FOLDER URL`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import sqlalchemy as sa

from controlplane.admission.models import Pool
from controlplane.app import build
from controlplane.clock import utc_now
from controlplane.worker import Worker
from tests.functional.workshop import FakeCloud, workshop_settings


def main() -> None:
    control_plane = build(workshop_settings(Path(sys.argv[1]), sys.argv[2]), utc_now)
    with control_plane.db.read() as session:
        clouds = dict.fromkeys(session.scalars(sa.select(Pool.cloud)), FakeCloud())
    Worker(control_plane.delivery, control_plane.settings, clouds).start()
    signal.pause()


if __name__ == "__main__":
    main()
