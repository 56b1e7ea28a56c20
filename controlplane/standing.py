"""Which resource stands on which, read and kept under locks; the rules are in
`provisioning.dependence`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from controlplane import messages
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.errors import DependenceRefused, Fault
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.dependence import (
    LEAVING,
    Standing,
    base_faults,
    need_faults,
    stays_faults,
)
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.pairs import MACHINE
from controlplane.tenancy.models import Department

#: Sources of fields that name what a resource stands on.
PARENT_SOURCES = ("my_vms", "my_databases")


def base_field(service: Service) -> str | None:
    """The field that names the resource below, by its source."""
    return next(
        (
            name
            for name, schema in service.properties.items()
            if schema.get("x-ui", {}).get("source") in PARENT_SOURCES
        ),
        None,
    )


def parent_in(service: Service, spec: Mapping[str, Any]) -> str | None:
    """The resource that a spec makes its own stand on: the machine that came with it, or what a
    field of its form names."""
    if spec.get(MACHINE):
        return str(spec[MACHINE])
    name = base_field(service)
    return str(spec[name]) if name and spec.get(name) else None


def standing_on(session: Session, catalogue: Catalogue, resource: Resource) -> list[Standing]:
    """What stands on a resource, and what each needs of it."""
    return [
        Standing(one.name, one.number, _needs(catalogue.find(one), one.spec))
        for one in provisioning.dependents(session, resource.id)
    ]


def _needs(service: Service | None, spec: Mapping[str, Any]) -> dict[str, int]:
    return service.base_needs_of(spec) if service else {}


def may_go_faults(session: Session, catalogue: Catalogue, resource: Resource) -> list[Fault]:
    """Why a resource may not be retired."""
    return stays_faults(standing_on(session, catalogue, resource))


def below_need_faults(
    session: Session,
    catalogue: Catalogue,
    resource: Resource,
    capacity: Mapping[str, int],
    at: str = "",
) -> list[Fault]:
    """Why a resource may not be changed to `capacity`."""
    standing = standing_on(session, catalogue, resource)
    return need_faults(standing, resource.capacity, capacity, at)


def base_faults_of(
    session: Session, service: Service, spec: Mapping[str, Any], department: Department
) -> list[Fault]:
    """Why what a spec asks for may not stand where it says; nothing is said of a resource of
    another department, which is not among the choices."""
    parent_id = parent_in(service, spec)
    if parent_id is None or not parent_id.isprintable():
        return []
    parent = session.get(Resource, parent_id)
    if parent is None or parent.department_id != department.id:
        return []
    needs = service.base_needs_of(spec)
    at = base_field(service) or ""
    return base_faults(parent.name, parent.state, parent.capacity, needs, at)


def lock_base(session: Session, service: Service, spec: Mapping[str, Any]) -> None:
    """The resource below, locked until the transaction ends. Whoever locks several takes them in
    one order, so that two never wait for each other: a resource, what it stands on, counters."""
    parent_id = parent_in(service, spec)
    if parent_id is not None:
        provisioning.lock_resource(session, parent_id)


def stand_on(
    session: Session,
    catalogue: Catalogue,
    service: Service,
    resource: Resource,
    spec: Mapping[str, Any],
) -> None:
    """From now on, not from the job's end, `resource` stands where `spec` says, and what it stands
    on therefore stays.

    What it stood on until now stays too until the job has ended; a job that fails goes back to it.
    The one below is locked: it is not retired in the same moment. Errors: DependenceRefused (that
    one is on its way out or too small; another one stands on `resource`, so that it may not move).
    """
    parent_id = parent_in(service, spec)
    if parent_id is not None:
        parent = provisioning.lock_resource(session, parent_id)
        needs = service.base_needs_of(spec)
        faults = base_faults(parent.name, parent.state, parent.capacity, needs)
        if parent_id == resource.parent_id:
            faults = [f for f in faults if f.code == "base_too_small"]
        if faults:
            raise DependenceRefused(faults)
    if parent_id == resource.parent_id:
        return
    if resource.parent_id is not None:
        moving = may_go_faults(session, catalogue, resource)
        if moving:
            raise DependenceRefused(moving)
    resource.parent_id = parent_id or resource.parent_id


def refusal_at_run(session: Session, job: Job, kind: str) -> str | None:
    """Why a claimed job of a resource is not to be run: what it stands on is going, or it is to go
    itself while another stands on it. Asked and approved in order, it comes to neither; what has
    been brought about otherwise (by hand, by a restored database) ends here."""
    resource = job.resource
    if resource is None or job.payload.get("cleanup") or job.payload.get("revert"):
        return None
    if kind == "retire":
        faults = stays_faults(
            [Standing(r.name, r.number) for r in provisioning.dependents(session, resource.id)]
        )
    else:
        parent = session.get(Resource, resource.parent_id) if resource.parent_id else None
        starts = kind in ("create", "change", "operate")
        is_leaving = parent is not None and parent.state in LEAVING and starts
        faults = base_faults(parent.name, parent.state, {}, {}) if parent and is_leaving else []
    return "; ".join(messages.text_of_fault(fault, "en") for fault in faults) or None
