"""Orders of one department through a control plane of the benchmark's own, over its JSON API."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from controlplane.admission.models import Pool
from controlplane.app import ControlPlane, build
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import UNFINISHED, ResourceState
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.tenancy.models import Person
from controlplane.tenancy.service import subject_of
from lab import ports
from lab.city.server import Server
from lab.errors import LabError

#: A department with room for thirty small machines, and the offices of the chain in their order.
APPLICANT, OFFICERS, ENGINEER = "zhaoguodong", ("zhangjing", "wanglei"), "chengang"
IMAGE = "lab-tiny"
SYSTEM_DISK_GIB = 10
PATIENCE_S = 300
POLL_S = 0.05


def benchmark_server(folder: Path, clouds_yaml: str, machines_answer: bool) -> Server:
    """A control plane as `make run` starts one, with a database of its own."""
    with socket.socket() as probe:
        probe.bind((ports.LOOPBACK, 0))
        port = probe.getsockname()[1]
    return Server(folder, port, clouds_yaml, machines_answer)


@dataclass
class Orders:
    """What people would do at the pages, without the pages: the clock is on the delivery."""

    server: Server
    ssh_public_key: str

    def __post_init__(self) -> None:
        self.plane: ControlPlane = build(self.server.settings())
        self._tokens = {p: self.server.token(p) for p in (APPLICANT, *OFFICERS)}
        self._wait(self._images_are_known, "the first look at the cloud")

    def submit(self) -> int:
        """A small machine asked for and agreed to by all offices but the last; its request id."""
        form = {
            "system_name": "就业服务系统",
            "plan": "small",
            "image": IMAGE,
            "system_disk_gib": SYSTEM_DISK_GIB,
            "ssh_public_key": self.ssh_public_key,
            "floating_address": self.server.machines_answer,
        }
        body = {"service": "vm", "zone": "internet", "form": form}
        made = self._send(
            APPLICANT, "/api/v1/requests", body, {"Idempotency-Key": uuid.uuid4().hex}
        )
        for officer in OFFICERS[:-1]:
            self._decide(officer, made["id"], self._step(officer, made["id"]))
        return int(made["id"])

    def deliver(self, request_ids: Sequence[int]) -> float:
        """Seconds from the last office's agreement, given to all at once, to the last delivery."""
        together = threading.Barrier(len(request_ids) + 1)
        # What an office has before it on its page when it agrees.
        steps = {request_id: self._step(OFFICERS[-1], request_id) for request_id in request_ids}

        def agree(request_id: int, step_id: int) -> None:
            together.wait()
            self._decide(OFFICERS[-1], request_id, step_id)

        with ThreadPoolExecutor(len(request_ids)) as pool:
            agreed = [pool.submit(agree, *step) for step in steps.items()]
            together.wait()
            started_s = time.perf_counter()
            for future in agreed:
                future.result()
        self._wait(lambda: self._delivered(request_ids), "the deliveries")
        return time.perf_counter() - started_s

    def outputs(self, request_id: int) -> Mapping[str, Any]:
        """What the run reported of the delivered machine."""
        with self.plane.db.read() as session:
            request = session.get_one(ServiceRequest, request_id)
            return session.get_one(Resource, request.resource_id).outputs

    def destroy_all(self) -> None:
        """Everything delivered goes, by the retire playbook."""
        with self.plane.db.read() as session:
            person_id = session.scalars(sa.select(Person.id).where(Person.login == ENGINEER)).one()
            engineer = subject_of(session, person_id)
            standing = session.scalars(
                sa.select(Resource).where(Resource.state == ResourceState.ACTIVE)
            ).all()
        for resource in standing:
            self.plane.operations.retire_now(engineer, resource.id, resource.name)
        self._wait(self._idle, "the end of all jobs")

    def peak_memory_mib(self) -> float:
        """The most that the control plane itself has held, its runs not counted."""
        pid = int((self.server.var_dir / "serve.lock").read_text())
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise LabError(f"/proc/{pid}/status names no VmHWM")

    # --- helpers --------------------------------------------------------------------------------

    def _step(self, officer: str, request_id: int) -> int:
        """The step whose turn it is."""
        steps = self._send(officer, f"/api/v1/requests/{request_id}")["steps"]
        return int(next(s["id"] for s in steps if s["started_at"] and not s["decided_at"]))

    def _decide(self, officer: str, request_id: int, step_id: int) -> None:
        body = {"step_id": step_id, "decision": "agree", "opinion": "同意"}
        self._send(officer, f"/api/v1/requests/{request_id}/decisions", body)

    def _send(
        self,
        login: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        answer = requests.request(
            "POST" if body else "GET",
            self.server.url + path,
            json=body,
            headers={"Authorization": f"Bearer {self._tokens[login]}", **(headers or {})},
            timeout=60,
        )
        if answer.status_code >= 400:
            raise LabError(f"{path}: HTTP {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def _images_are_known(self) -> bool:
        with self.plane.db.read() as session:
            of_machines = Pool.zone == "internet", Pool.engine == "openstack"
            pools = session.scalars(sa.select(Pool).where(*of_machines)).all()
            return bool(pools) and all(pool.cloud_images for pool in pools)

    def _delivered(self, request_ids: Sequence[int]) -> bool:
        with self.plane.db.read() as session:
            rows = session.execute(
                sa.select(ServiceRequest.state, ServiceRequest.reason).where(
                    ServiceRequest.id.in_(request_ids)
                )
            ).all()
        failed = [reason for state, reason in rows if state == RequestState.FAILED]
        if failed:
            raise LabError(f"an order failed: {failed[0]}")
        return all(state == RequestState.FULFILLED for state, _ in rows)

    def _idle(self) -> bool:
        with self.plane.db.read() as session:
            query = sa.select(sa.func.count()).where(Job.state.in_(UNFINISHED))
            return not session.scalar(query)

    @staticmethod
    def _wait(check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not check():
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not within {PATIENCE_S} s")
            time.sleep(POLL_S)
