"""A worker with real playbooks: what a test needs to put one in place, and to look at the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from controlplane.access import Access
from controlplane.admission.models import Pool
from controlplane.app import build
from controlplane.clock import utc_now
from controlplane.config import CHECKOUT, Settings
from controlplane.errors import CloudUnavailable
from controlplane.provisioning.models import Job, JobStep
from controlplane.service_requests.models import ServiceRequest
from controlplane.worker import Worker
from tests.factories import TEST_SERVICES, City, FrozenClock

PLAYBOOKS = CHECKOUT / "tests" / "playbooks"
PATIENCE_S = 40


@dataclass
class FakeCloud:
    """Stands for the cloud's driver only: credentials to hand on, and a machine that answers."""

    is_silent: bool = False
    lets_nobody_in: bool = False
    projects: list[str] = field(default_factory=list)

    def run_access(self, project: str) -> Access:
        if self.lets_nobody_in:
            raise CloudUnavailable(reason="no token is to be had")
        self.projects.append(project)
        clouds = {"admin": {"auth": {"password": "adm1n-s3cret"}}, "department": {}}
        return Access(
            {"clouds.yaml": {"clouds": clouds}}, texts={"machine_key": "k3y-of-a-machine"}
        )

    def check(self, _service: str) -> None:
        if self.is_silent:
            raise CloudUnavailable(reason="connection refused")

    def prove_machine(self, _outputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"host_key": "ssh-ed25519 AAAA"}


def workshop_settings(folder: Path, database_url: str, **changes: Any) -> Settings:
    """Impatient settings: a short lease, a retry at once."""
    settings = Settings(
        var_dir=folder / "var",
        database_url=database_url,
        playbooks_dir=folder / "playbooks",
        job_lease_seconds=6,
        job_retry_base_seconds=0,
    )
    return settings.model_copy(update=changes)  # also below what a deployment may choose


@dataclass
class Workshop:
    city: City
    folder: Path
    workers: list[Worker] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def request_state(self, request_id: int) -> str:
        with self.city.control_plane.db.read() as session:
            return session.get_one(ServiceRequest, request_id).state

    @property
    def services(self) -> Path:
        return self.folder / "playbooks" / "services" / "drill"

    @property
    def jobs(self) -> Path:
        return self.city.control_plane.settings.jobs_dir

    def put(self, playbook: str, action: str = "provision") -> None:
        """Puts a playbook of tests/playbooks in the place of an action's."""
        shutil.copyfile(PLAYBOOKS / f"{playbook}.yml", self.services / f"{action}.yml")

    def order(self, **form: Any) -> int:
        """An approved request, its department set up on the cloud already; returns its id."""
        request_id = self.city.submit(**form)
        self.city.approve(request_id)
        delivery = self.city.control_plane.delivery
        run = delivery.claim("setup:1")
        assert run is not None
        if run.action == "onboard":
            delivery.complete(run, {})
        return request_id

    def start(self, cloud: Any = None) -> Worker:
        """A worker in this process."""
        control_plane = self.city.control_plane
        with control_plane.db.read() as session:
            names = set(session.scalars(sa.select(Pool.cloud)))
        clouds = dict.fromkeys(names, cloud or FakeCloud())
        worker = Worker(control_plane.delivery, control_plane.settings, clouds)
        self.workers.append(worker)
        worker.start()
        return worker

    def start_process(self) -> subprocess.Popen[bytes]:
        """A worker in a process of its own, to be killed."""
        url = self.city.control_plane.settings.database
        command = [sys.executable, "-m", "tests.functional.worker_process", str(self.folder), url]
        process = subprocess.Popen(command, cwd=CHECKOUT, start_new_session=True)
        self.processes.append(process)
        return process

    def job(self, action: str = "provision") -> Job:
        """The newest job of an action."""
        with self.city.control_plane.db.read() as session:
            return session.scalars(
                sa.select(Job).where(Job.action == action).order_by(Job.id.desc()).limit(1)
            ).one()

    def steps(self, action: str = "provision") -> list[tuple[str, str]]:
        """(name, state) of the present try."""
        job = self.job(action)
        with self.city.control_plane.db.read() as session:
            rows = session.scalars(
                sa.select(JobStep)
                .where(JobStep.job_id == job.id, JobStep.attempt == job.attempt)
                .order_by(JobStep.ordinal)
            )
            return [(row.name, row.state) for row in rows]

    def ended(self, action: str = "provision") -> Job:
        """The newest job of an action, once it has ended."""
        eventually(lambda: self._find(action) and self.job(action).finished_at is not None)
        return self.job(action)

    def _find(self, action: str) -> bool:
        with self.city.control_plane.db.read() as session:
            return session.scalar(sa.select(Job.id).where(Job.action == action)) is not None

    def notes(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.services / "notes").read_text().splitlines()
        return []

    def processes_of_plays(self) -> list[str]:
        """Command lines of whatever runs for this workshop's jobs, workers themselves left out."""
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and int(process.name) != os.getpid():
                with suppress(OSError):
                    told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if str(self.jobs).encode() in told and "worker_process" not in command:
                        found.append(command)
        return [command for command in found if command]

    def close(self) -> None:
        for worker in self.workers:
            worker.stop(patience_seconds=0)
        for process in self.processes:
            process.kill()
            process.wait()
        (self.services / "go").touch()
        eventually(lambda: not self.processes_of_plays())


def make_workshop(folder: Path, database_url: str, **changes: Any) -> Workshop:
    playbooks = folder / "playbooks"
    shutil.copytree(TEST_SERVICES, playbooks / "services")
    (playbooks / "ops").mkdir()
    for name in ("onboard", "sync_quota"):
        shutil.copyfile(PLAYBOOKS / "set_up.yml", playbooks / "ops" / f"{name}.yml")
    shutil.copyfile(CHECKOUT / "ansible.cfg", folder / "ansible.cfg")
    (folder / "inventory").mkdir()
    control_plane = build(workshop_settings(folder, database_url, **changes), utc_now)
    return Workshop(City(control_plane, FrozenClock()), folder)


def eventually(condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
    """Waits until the condition holds; what it last was is in the failure."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {patience_s} s")
        time.sleep(0.05)
