"""The sample city on a real cloud: real clock, real worker, real playbooks, nothing stands in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import openstack
import sqlalchemy as sa
import yaml
from openstack.connection import Connection

from controlplane import schema
from controlplane.admission.books import counter_differences
from controlplane.app import ControlPlane, build, build_clouds
from controlplane.applying import apply_declared
from controlplane.clock import utc_now
from controlplane.config import CHECKOUT, Settings
from controlplane.metering.models import UsageInterval
from controlplane.metering.rules import BACKUP_STORAGE
from controlplane.people import add_people, load_people
from controlplane.pipeline import Ask
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import UNFINISHED, ResourceState
from controlplane.quotas import load_quotas
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.ticks import Ticks
from controlplane.worker import Worker
from tests.factories import PEOPLE, City, FrozenClock

T = TypeVar("T")

#: Every control plane of this process, for the lab's transcript.
CITIES: list[ControlPlane] = []

#: Departments that order something; they get names of their own, so that the projects of this run
#: are nobody else's.
TENANTS = ("civil-affairs", "human-resources")
#: Long enough for a busy machine; nothing waits this long when all is well.
PATIENCE_SECONDS = 90
IMAGE = "lab-tiny"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1f0oXg7v2mFqVqGzq3J6YwJ0rK2o4mF3v1z3bq8p9Q test"


class MovableClock(FrozenClock):
    """The real time, moved ahead where a test cannot wait for days."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def advance(self, **amount: float) -> None:
        self.ahead += timedelta(**amount)


@dataclass
class LiveCity(City):
    """A running control plane; `admin` is the cloud's administrator, straight to its APIs."""

    admin: Connection
    entry: Mapping[str, Any]
    suffix: str
    worker: Worker
    ticks: Ticks

    def code(self, department: str) -> str:
        return f"{department}-{self.suffix}"

    # --- the journey ----------------------------------------------------------------------------

    def order(self, login: str = "limin", **form: Any) -> int:
        """A VM asked for and agreed to by both offices; the request's id."""
        request_id = self.control_plane.pipeline.submit_request(self.person(login), vm(**form))
        self.approve(request_id)
        self.worker.wake()
        return request_id

    def order_volume(self, **form: Any) -> int:
        """A volume of its own asked for and agreed to; the request's id."""
        asked = Ask("volume", "provision", "internet", {"system_name": "低保核对系统数据", **form})
        request_id = self.control_plane.pipeline.submit_request(self.person("limin"), asked)
        self.decide("zhangjing", request_id)
        self.worker.wake()
        return request_id

    def delivered_vm(self, login: str = "limin", **form: Any) -> str:
        """The id of a VM that went the whole way."""
        return self.fulfilled(self.order(login, **form))

    def change(self, resource_id: str, login: str = "limin", **form: Any) -> int:
        """A change asked for and agreed to; the request's id."""
        resource = self.resource(resource_id)
        asked = Ask(resource.service, "change", resource.zone, form=form, resource_id=resource_id)
        request_id = self.control_plane.pipeline.submit_request(self.person(login), asked)
        self.decide("zhangjing", request_id)
        self.worker.wake()
        return request_id

    def operate(self, resource_id: str, action: str, **form: Any) -> None:
        """Done by its owner, and waited for."""
        operate = self.control_plane.operations.operate_resource
        job_id = operate(self.person("limin"), resource_id, action, form)
        self.worker.wake()
        job = self.wait(lambda: self._ended(job_id), f"the end of {action}")
        assert job.state == "succeeded", job.error

    def _ended(self, job_id: int) -> Job | None:
        with self.control_plane.db.read() as session:
            job = session.get_one(Job, job_id)
            return None if job.state in UNFINISHED else job

    def fulfilled(self, request_id: int) -> str:
        """Waits for the request's end, which must be a good one; the resource's id."""
        request = self.ended(request_id)
        assert request.state == RequestState.FULFILLED, self.told(request_id)
        assert request.resource_id is not None
        return request.resource_id

    def fulfilled_all(self, request_ids: Iterable[int]) -> list[str]:
        return [self.fulfilled(request_id) for request_id in list(request_ids)]

    def ended(self, request_id: int) -> ServiceRequest:
        """The request once it is not being delivered any more."""

        def check() -> ServiceRequest | None:
            with self.control_plane.db.read() as session:
                request = session.get_one(ServiceRequest, request_id)
                return None if request.state == RequestState.DELIVERING else request

        return self.wait(check, f"the end of request {request_id}", lambda: self.told(request_id))

    def idle(self) -> None:
        """Waits until no job is left to do."""

        def check() -> bool | None:
            with self.control_plane.db.read() as session:
                return None if session.scalar(unfinished_jobs()) else True

        self.wait(check, "the end of all jobs", self.told)

    def wait(
        self, check: Callable[[], T | None], what: str, tell: Callable[[], Any] = lambda: ""
    ) -> T:
        return wait_for(check, what, tell)

    def told(self, request_id: int | None = None) -> str:
        """Every job with how it stands, for a failed test."""
        with self.control_plane.db.read() as session:
            jobs = sa.select(Job).order_by(Job.id)
            if request_id is not None:
                jobs = jobs.where(Job.request_id == request_id)
            return "\n".join(
                f"{j.number} {j.action} {j.state} attempt {j.attempt}: {j.error}"
                for j in session.scalars(jobs)
            )

    # --- what there is --------------------------------------------------------------------------

    def resource(self, resource_id: str) -> Resource:
        with self.control_plane.db.read() as session:
            return session.get_one(Resource, resource_id)

    def request(self, request_id: int) -> ServiceRequest:
        with self.control_plane.db.read() as session:
            return session.get_one(ServiceRequest, request_id)

    def jobs(self, **where: Any) -> list[Job]:
        with self.control_plane.db.read() as session:
            return list(session.scalars(sa.select(Job).filter_by(**where).order_by(Job.id)))

    def project_id(self, department: str = "civil-affairs", zone: str = "internet") -> str:
        project = self.admin.identity.find_project(f"egov-{self.code(department)}-{zone}")
        assert project is not None
        return str(project.id)

    def servers(self, resource_id: str) -> list[Any]:
        """Every server of the cloud that carries the resource's id, whoever's it is."""
        return [
            s
            for s in self.admin.compute.servers(all_projects=True)
            if s.metadata.get("egov_resource_id") == resource_id
        ]

    def server(self, resource_id: str) -> Any:
        """The one server of the resource."""
        servers = self.servers(resource_id)
        assert len(servers) == 1, [s.name for s in servers]
        return servers[0]

    def volumes(self, resource_id: str) -> list[Any]:
        """The resource's volumes by their slot."""
        found = [
            v
            for v in self.admin.block_storage.volumes(all_projects=True)
            if v.metadata.get("egov_resource_id") == resource_id
        ]
        return sorted(found, key=lambda v: v.metadata.get("egov_slot", ""))

    def floating_addresses(self, resource_id: str) -> list[Any]:
        return [
            a
            for a in self.admin.network.ips()
            if resource_id in (a.description or "") or resource_id in a.tags
        ]

    def intervals(self, resource_id: str, item: str) -> list[tuple[int, bool]]:
        """(quantity, whether it still runs) in order."""
        with self.control_plane.db.read() as session:
            rows = session.scalars(
                sa.select(UsageInterval)
                .where(UsageInterval.resource_id == resource_id, UsageInterval.item == item)
                .order_by(UsageInterval.t0, UsageInterval.id)
            )
            return [(row.quantity, row.t1 is None) for row in rows]

    def start_worker(self) -> None:
        """A worker of this process, as after a restart of the control plane."""
        self.worker.stop()
        old = self.worker
        self.worker = Worker(old.delivery, old.settings, old.clouds)
        self.worker.start()

    def start_again_on(self, playbooks: Path) -> None:
        """The control plane starts again, with another catalogue."""
        settings = self.control_plane.settings.model_copy(update={"playbooks_dir": playbooks})
        end_live_city(self)
        self.control_plane = build(settings, self.clock)
        self.worker = Worker(self.control_plane.delivery, settings, build_clouds(settings))
        self.worker.start()

    # --- the end --------------------------------------------------------------------------------

    def retire_all(self, *services: str) -> None:
        """An engineer destroys whatever a test has left standing, dependents first."""
        engineer = self.person("chengang")
        standing = (ResourceState.ACTIVE, ResourceState.STOPPED, ResourceState.RETIRING)
        for service in services or ("volume", "vm"):
            with self.control_plane.db.read() as session:
                rows = session.scalars(
                    sa.select(Resource).where(
                        Resource.service == service, Resource.state.in_(standing)
                    )
                ).all()
            for row in rows:
                self.control_plane.operations.retire_now(engineer, row.id, row.name)
            self.worker.wake()
            self.idle()

    def assert_nothing_is_left(self) -> None:
        """No object of ours on the cloud, nothing held, no clock still running."""
        self.assert_nothing_is_held()
        with self.control_plane.db.read() as session:
            ids = set(session.scalars(sa.select(ServiceRequest.resource_id))) - {None}
        assert objects_tagged(self.admin, {str(i) for i in ids}) == []

    def assert_nothing_is_held(self) -> None:
        """Counters as the claims say, no resource that stands, no clock still running."""
        with self.control_plane.db.read() as session:
            open_intervals = session.scalars(
                # Backups outlive what they were taken from, and are metered until they go.
                sa.select(UsageInterval).where(
                    UsageInterval.t1.is_(None), UsageInterval.item != BACKUP_STORAGE
                )
            ).all()
            assert counter_differences(session) == []
            held = session.scalars(
                sa.select(Resource).where(
                    Resource.state.not_in((ResourceState.RETIRED, ResourceState.FAILED))
                )
            ).all()
        assert [(r.number, r.state) for r in held] == []
        assert [(i.resource_id, i.item) for i in open_intervals] == []


def vm(zone: str = "internet", **changes: Any) -> Ask:
    """A small machine."""
    form = {
        "system_name": "低保核对系统",
        "plan": "small",
        "image": IMAGE,
        "system_disk_gib": 10,
        "ssh_public_key": SSH_KEY,
        "floating_address": False,
        **changes,
    }
    return Ask("vm", "provision", zone, form)


def wait_for(
    check: Callable[[], T | None],
    what: str,
    tell: Callable[[], Any] = lambda: "",
    seconds: float = PATIENCE_SECONDS,
) -> T:
    """The first result of `check` that is not None."""
    deadline = time.monotonic() + seconds
    while (result := check()) is None:
        assert time.monotonic() < deadline, f"no {what} within {seconds} s\n{tell()}"
        time.sleep(0.25)
    return result


def unfinished_jobs() -> sa.Select[tuple[int]]:
    return sa.select(sa.func.count()).select_from(Job).where(Job.state.in_(UNFINISHED))


# --- making one ---------------------------------------------------------------------------------


def declared_for(suffix: str, folder: Path) -> tuple[Path, Path]:
    """quotas/ and people of the sample city with the tenants' codes made this run's own."""
    codes = re.compile(rf"\b({'|'.join(TENANTS)})\b")
    quotas = folder / "quotas"
    quotas.mkdir(parents=True)
    for source in (CHECKOUT / "quotas").glob("*.yml"):
        text = source.read_text(encoding="utf-8")
        (quotas / source.name).write_text(codes.sub(rf"\1-{suffix}", text), encoding="utf-8")
    people = folder / "people.yml"
    text = PEOPLE.read_text(encoding="utf-8")
    people.write_text(codes.sub(rf"\1-{suffix}", text), encoding="utf-8")
    return quotas, people


def live_settings(folder: Path, quotas: Path, clouds_yaml: Path, **changes: Any) -> Settings:
    """A failed job is tried again soon; there is no machine behind a server."""
    return Settings(
        **{
            "var_dir": folder / "var",
            "quotas_dir": quotas,
            "clouds_yaml": clouds_yaml,
            "job_retry_base_seconds": 1,
            "machines_answer": False,
            **changes,
        }
    )


def make_database(
    settings: Settings, people: Path, clock: Callable[[], datetime] = utc_now
) -> ControlPlane:
    control_plane = build(settings, clock)
    schema.upgrade(control_plane.db)
    with control_plane.db.transaction() as session:
        apply_declared(session, settings, load_quotas(settings.quotas_dir), clock())
        add_people(session, load_people(people), clock())
    return control_plane


def make_live_city(
    folder: Path, suffix: str, admin: Connection, entry: Mapping[str, Any], **changes: Any
) -> LiveCity:
    """A control plane on the cloud `entry`, its worker running; `changes` go into its settings."""
    control_plane, clock, worker, ticks = run_control_plane(folder, suffix, {"lab": entry}, changes)
    return LiveCity(control_plane, clock, admin, entry, suffix, worker, ticks)


def run_control_plane(
    folder: Path, suffix: str, clouds: Mapping[str, Mapping[str, Any]], changes: Mapping[str, Any]
) -> tuple[ControlPlane, MovableClock, Worker, Ticks]:
    """Over a database of its own in `folder`; `clouds` are entries of its clouds.yaml."""
    quotas, people = declared_for(suffix, folder)
    clouds_yaml = folder / "clouds.yaml"
    declared = {name: dict(entry) for name, entry in clouds.items()}
    clouds_yaml.write_text(yaml.safe_dump({"clouds": declared}))
    clock = MovableClock()
    settings = live_settings(folder, quotas, clouds_yaml, **changes)
    control_plane = make_database(settings, people, clock)
    CITIES.append(control_plane)
    drivers = build_clouds(settings)
    ticks = Ticks(control_plane, drivers, "tests")
    ticks.read_pools()
    worker = Worker(control_plane.delivery, settings, drivers)
    worker.start()
    return control_plane, clock, worker, ticks


def end_live_city(city: LiveCity) -> None:
    city.worker.stop()
    city.control_plane.db.dispose()


# --- the cloud itself ---------------------------------------------------------------------------


def connect(entry: Mapping[str, Any], **auth: Any) -> Connection:
    """By this entry alone, and nothing of the caller's environment; `auth` changes the sign-in."""
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        **{**entry, "auth": {**entry["auth"], **auth}},
    )


def objects_tagged(admin: Connection, resource_ids: Iterable[str]) -> list[str]:
    """What is on the cloud of these resources, in words."""
    ids = set(resource_ids)

    def ours(text: str | None) -> bool:
        return any(i in (text or "") for i in ids)

    return [
        *(
            f"server {s.name} {s.status}"
            for s in admin.compute.servers(all_projects=True)
            if s.metadata.get("egov_resource_id") in ids
        ),
        *(
            f"volume {v.name} {v.status}"
            for v in admin.block_storage.volumes(all_projects=True)
            if v.metadata.get("egov_resource_id") in ids
        ),
        *(f"port {p.name}" for p in admin.network.ports() if ours(p.name)),
        *(f"address {a.floating_ip_address}" for a in admin.network.ips() if ours(a.description)),
        *(f"key pair {k.name}" for k in admin.compute.keypairs() if ours(k.name)),
    ]


def remove_projects(admin: Connection, suffix: str) -> None:
    """Takes this run's projects off the cloud with their networks."""
    for project in admin.identity.projects():
        if not project.name.startswith("egov-") or suffix not in project.name:
            continue
        for router in admin.network.routers(project_id=project.id):
            for port in admin.network.ports(device_id=router.id):
                if port.device_owner == "network:router_interface":
                    admin.network.remove_interface_from_router(router, port_id=port.id)
            admin.network.delete_router(router)
        for network in admin.network.networks(project_id=project.id):
            admin.network.delete_network(network)
        for group in admin.network.security_groups(project_id=project.id):
            if group.name != "default":
                admin.network.delete_security_group(group)
        admin.identity.delete_project(project)
        for group in admin.network.security_groups(project_id=project.id):
            admin.network.delete_security_group(group)
