"""What the tests of the lab had done, and how long it took: a table at the end of their run.

Each city that a test runs is looked through once, at the end: every job that ended well, by
service, place and action. What a test has measured as a client (`record_property`, a name that
ends in `_s`) stands below. With several workers each tells its part to the one that reports.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from controlplane.app import ControlPlane
from controlplane.provisioning.models import Job
from lab.testing import TRANSCRIPT
from tests.integration.live_city import CITIES

#: A test's clock may be moved while a job waits; nothing here takes an hour.
BELIEVED_S = 3600
TOLD = "egov_transcript"

#: (service, place, action, seconds from when it was decided to its good end)
Done = tuple[str, str, str, float]


@dataclass(eq=False)  # a plug-in of pytest is one of a set
class Transcript:
    done: list[Done] = field(default_factory=list)
    measured: dict[str, str] = field(default_factory=dict)

    # --- hooks of pytest --------------------------------------------------------------------------

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.done += [row for plane in CITIES for row in jobs_of(plane)]
        told = getattr(session.config, "workeroutput", None)
        if told is not None:
            told[TOLD] = json.dumps(self.done)

    @pytest.hookimpl(optionalhook=True)  # of xdist
    def pytest_testnodedown(self, node: Any) -> None:
        told = getattr(node, "workeroutput", {}).get(TOLD, "[]")
        self.done += [(row[0], row[1], row[2], row[3]) for row in json.loads(told)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":
            return
        test = report.nodeid.rpartition("::")[2]
        for name, value in report.user_properties:
            if name.endswith("_s"):
                self.measured[f"{test}: {name.removesuffix('_s').replace('_', ' ')}"] = f"{value} s"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self.lines():
            terminalreporter.write_line(line)

    # --- what they print --------------------------------------------------------------------------

    def lines(self) -> list[str]:
        if not self.done and not self.measured:
            return []
        table = [
            f"  {service:<16}{place:<16}{action:<24}{times(took)}"
            for (service, place, action), took in sorted(by_action(self.done).items())
        ]
        return ["", TRANSCRIPT, *table, *(f"  {k}  {v}" for k, v in self.measured.items()), ""]


def jobs_of(plane: ControlPlane) -> list[Done]:
    with plane.db.read() as session:
        jobs = (
            session.scalars(
                sa.select(Job).where(Job.state == "succeeded", Job.finished_at.is_not(None))
            )
            .unique()
            .all()
        )
        found = [
            (job.service, _place(plane, job), job.action, seconds)
            for job in jobs
            if (seconds := (job.finished_at - job.created_at).total_seconds()) < BELIEVED_S
        ]
    plane.db.dispose()
    return found


def _place(plane: ControlPlane, job: Job) -> str:
    if job.resource is None:
        return "department"
    service = plane.catalogue.find(job.resource)
    return service.engine_of(job.resource.spec) if service else ""


def by_action(done: Iterable[Done]) -> dict[tuple[str, str, str], list[float]]:
    took: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for service, place, action, seconds in done:
        took[service, place, action].append(seconds)
    return took


def times(took: list[float]) -> str:
    return (
        f"{len(took):>4} times  median {statistics.median(took):6.1f} s  longest {max(took):6.1f} s"
    )
