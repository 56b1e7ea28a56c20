"""What resources' data take of what they hold: measured, told, held to the plan."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from controlplane import audit
from controlplane.access import Login
from controlplane.admission.models import Pool
from controlplane.catalogue.services import DiskPlan
from controlplane.catalogue.versions import Catalogue
from controlplane.clock import Clock
from controlplane.config import Settings
from controlplane.db import Database
from controlplane.errors import CloudRefused, CloudUnavailable, ResourceBusy
from controlplane.jobs import enqueue_action
from controlplane.machines import data_gib, logins
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.filling import DiskLevel, event_of, level_of, of_plan
from controlplane.provisioning.models import Job, Resource, ResourceDisk
from controlplane.provisioning.pairs import MACHINE
from controlplane.provisioning.rules import JobState, ResourceState
from controlplane.readings import DiskReading, Measured

log = logging.getLogger(__name__)

#: States in which a resource's data are measured.
MEASURED = (ResourceState.ACTIVE, ResourceState.STOPPED, ResourceState.CHANGING)
#: After a run that could not hold a resource to its plan the next one waits this long.
HELD_AGAIN_AFTER = timedelta(hours=1)


@runtime_checkable
class ReadsDisks(Protocol):
    """A cloud that tells what each resource's data take."""

    def disk_readings(self, resources: Sequence[Measured]) -> dict[str, DiskReading]:
        """By resource id, also of others than `resources`. Errors: CloudUnavailable,
        CloudRefused."""


@runtime_checkable
class ReadsMachineDisks(Protocol):
    def machine_disk_readings(self, logins: Mapping[str, Login]) -> dict[str, DiskReading]:
        """Of the data volumes of machines, by the same ids. Errors: none; a machine that does not
        answer tells nothing."""


class Disks:
    def __init__(
        self, db: Database, catalogue: Catalogue, settings: Settings, clock: Clock
    ) -> None:
        self.db = db
        self.catalogue = catalogue
        self.settings = settings
        self.clock = clock

    def measure(self, clouds: Mapping[str, Any]) -> int:
        """Reads every cloud that tells, keeps what it told; returns how many resources. A tick."""
        with self.db.read() as session:
            named = session.scalars(sa.select(Pool.cloud).where(Pool.active.is_(True)).distinct())
            readers = {c: clouds[c] for c in named if isinstance(clouds.get(c), ReadsDisks)}
            asks: dict[str, Callable[[], dict[str, DiskReading]]] = {
                cloud: partial(reader.disk_readings, self._measured(session, cloud))
                for cloud, reader in readers.items()
            }
            if isinstance(machines := clouds.get(MACHINE), ReadsMachineDisks):
                asks[MACHINE] = partial(machines.machine_disk_readings, self._logins(session))
        kept = 0
        for cloud, ask in asks.items():
            try:
                readings = ask()
            except (CloudUnavailable, CloudRefused) as error:
                log.warning("disks of %s: %s", cloud, error.params.get("reason", error))
                continue
            kept += sum(self.keep(resource_id, r) for resource_id, r in sorted(readings.items()))
        return kept

    def _measured(self, session: Session, cloud: str) -> list[Measured]:
        services = [code for code, each in self.catalogue.known.items() if each.disk is not None]
        rows = session.execute(
            sa.select(Resource.id, Resource.outputs)
            .join(Pool, Pool.code == Resource.pool_code)
            .where(
                Pool.cloud == cloud, Resource.service.in_(services), Resource.state.in_(MEASURED)
            )
        )
        return [Measured(row.id, row.outputs or {}) for row in rows]

    def _logins(self, session: Session) -> dict[str, Login]:
        """Into the machines of resources that have one of their own, wherever that stands; by the
        resource's id."""
        services = [code for code, each in self.catalogue.known.items() if each.disk is not None]
        machine = aliased(Resource)
        rows = session.execute(
            sa.select(Resource, machine)
            .join(machine, machine.id == Resource.parent_id)
            .where(Resource.service.in_(services), Resource.state.in_(MEASURED))
        )
        pairs = [(one, below) for one, below in rows if one.spec.get(MACHINE) == below.id]
        found = logins(session, self.settings, [below for _, below in pairs])
        return {one.id: found[below.id] for one, below in pairs if below.id in found}

    def keep(self, resource_id: str, reading: DiskReading) -> bool:
        """One reading: what it says of the plan, and a run where the server does not do yet what
        follows from it. False where the resource has no plan for it. One transaction."""
        now = self.clock()
        with self.db.transaction() as session:
            resource = session.get(Resource, resource_id)
            plan = self._plan_of(resource)
            if resource is None or plan is None or resource.state not in MEASURED:
                return False
            limit_gib = self._limit_gib(session, resource, plan)
            used_bytes, is_own = reading.used_bytes, reading.size_bytes is not None
            if reading.size_bytes is not None:
                used_bytes = of_plan(used_bytes, reading.size_bytes, limit_gib)
            level = level_of(
                used_bytes,
                limit_gib,
                plan.near_percent,
                plan.critical_percent,
                has_own_disk=is_own,
            )
            disk = session.get(ResourceDisk, resource_id)
            before = DiskLevel(disk.level) if disk else DiskLevel.FINE
            session.merge(
                ResourceDisk(
                    resource_id=resource_id,
                    used_bytes=used_bytes,
                    limit_gib=limit_gib,
                    level=level,
                    is_read_only=reading.is_read_only,
                    measured_at=now,
                )
            )
            event = event_of(before, level, has_own_disk=is_own)
            if event is not None:
                provisioning.audit_resource(
                    session, audit.SYSTEM, event, resource, now, used_bytes=used_bytes
                )
            if (level is DiskLevel.FULL) is not reading.is_read_only:
                self._hold(session, resource_id, plan)
            return True

    @staticmethod
    def _limit_gib(session: Session, resource: Resource, plan: DiskPlan) -> int:
        """What runs on a machine holds nothing itself: the machine's data volume is its disk."""
        machine_id = resource.spec.get(MACHINE)
        if machine_id is not None:
            return data_gib(session.get_one(Resource, machine_id))
        return int(resource.capacity.get(plan.dimension, 0))

    def _plan_of(self, resource: Resource | None) -> DiskPlan | None:
        service = self.catalogue.find(resource) if resource is not None else None
        return service.disk_of(resource.spec) if service and resource else None

    def _hold(self, session: Session, resource_id: str, plan: DiskPlan) -> None:
        if plan.held_with is None:
            return
        resource = provisioning.lock_resource(session, resource_id)
        service = self.catalogue.of(resource)
        action = service.actions[plan.held_with]
        if resource.state not in action.states or self._failed_of_late(session, resource, plan):
            return
        try:
            provisioning.check_idle(session, resource)
        except ResourceBusy:
            return  # the next tick measures again
        payload = {"spec": resource.spec, "to_state": None}
        enqueue_action(session, self.settings, service, action, resource, self.clock(), payload)

    def _failed_of_late(self, session: Session, resource: Resource, plan: DiskPlan) -> bool:
        return bool(
            session.scalar(
                sa.select(Job.id)
                .where(
                    Job.resource_id == resource.id,
                    Job.action == plan.held_with,
                    Job.state == JobState.FAILED,
                    Job.finished_at > self.clock() - HELD_AGAIN_AFTER,
                )
                .limit(1)
            )
        )
