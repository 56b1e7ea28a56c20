"""What a field may be filled with by the present state: images, machines, backups, uploads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission import service as admission
from controlplane.backups.models import Backup
from controlplane.backups.rules import BackupState, cloned_states
from controlplane.catalogue.services import Action, Service
from controlplane.clock import LOCAL_ZONE
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import STANDABLE, ResourceState
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState
from controlplane.tenancy.models import Department
from controlplane.uploads.service import uploads_of

#: Choices that are the further accounts of the resource in hand.
ACCOUNTS = "accounts"
#: Services whose connection an application can be given.
DATABASES = ("postgresql",)


@dataclass(frozen=True)
class Choice:
    """A value that a field with a live source may take, with the words beside it."""

    value: str
    label: str


def live_choices(
    session: Session,
    service: Service,
    action: Action,
    department: Department,
    zone: str,
    stands_on: str | None = None,
    outputs: Mapping[str, Any] | None = None,
    resource: Resource | None = None,
) -> dict[str, list[Choice]]:
    """Values of the fields whose choices come from the present state, by field.

    `stands_on` is the engine of the resource that the action is for: its plan changes within that
    engine. None for a new one, which may stand on any engine that this deployment has. `outputs`
    are what was delivered of it. Of what the action only `chooses`, what `resource` has had before.
    """
    fields = service.form_schema(action)["properties"]
    choices = {
        name: _SOURCES[schema["x-ui"]["source"]](
            session, department, zone, service, stands_on or service.engine
        )
        for name, schema in fields.items()
        if schema.get("x-ui", {}).get("source") in _SOURCES
    }
    choices |= {
        name: [Choice(a["name"], a["name"]) for a in (outputs or {}).get("accounts") or ()]
        for name, schema in fields.items()
        if schema.get("x-ui", {}).get("source") == ACCOUNTS
    }
    for name in action.chooses:
        if resource is None:
            break
        had = _values_before(session, resource, name)
        choices[name] = [choice for choice in choices[name] if choice.value in had]
    if "plan" in fields and service.plans:
        plans = service.plans_on([stands_on] if stands_on else service.offered_engines)
        choices["plan"] = [Choice(code, plan["name"]["zh"]) for code, plan in plans.items()]
    return choices


def _values_before(session: Session, resource: Resource, name: str) -> set[str]:
    """What delivered requests of a resource had in a field, but for what it has now."""
    specs = session.scalars(
        sa.select(ServiceRequest.spec).where(
            ServiceRequest.resource_id == resource.id,
            ServiceRequest.state == RequestState.FULFILLED,
        )
    )
    return {str(spec[name]) for spec in specs if spec.get(name)} - {resource.spec.get(name)}


def _images(
    session: Session, _department: Department, zone: str, _service: Service, engine: str
) -> list[Choice]:
    """Images that every pool of the zone offers (the pool is chosen after the form is filled)."""
    offered = [p.cloud_images or [] for p in admission.candidate_pools(session, zone, engine)]
    names = [{i["name"] for i in images} for images in offered]
    common = set.intersection(*names) if names else set()
    titles = {i["name"]: i.get("title") or i["name"] for images in offered for i in images}
    return [Choice(name, titles[name]) for name in sorted(common)]


#: What nothing is under way on.
RESTING = (ResourceState.ACTIVE, ResourceState.STOPPED)


def _of_department(
    session: Session,
    department: Department,
    zone: str,
    services: Iterable[str],
    states: Iterable[ResourceState],
) -> Sequence[Resource]:
    """What the department has of these services in the zone, by number."""
    return session.scalars(
        sa.select(Resource)
        .where(
            Resource.department_id == department.id,
            Resource.zone == zone,
            Resource.service.in_(services),
            Resource.state.in_(states),
        )
        .order_by(Resource.number)
        .limit(500)
    ).all()


def _my_vms(
    session: Session, department: Department, zone: str, _service: Service, _engine: str
) -> list[Choice]:
    rows = _of_department(session, department, zone, ("vm",), RESTING)
    return [Choice(r.id, f"{r.name}（{r.number}）") for r in rows]


def _my_backups(
    session: Session, department: Department, zone: str, service: Service, _engine: str
) -> list[Choice]:
    """Backups of the department's resources of the same service, also of destroyed ones."""
    rows = session.scalars(
        sa.select(Backup)
        .join(Resource, Resource.id == Backup.resource_id)
        .where(
            Resource.department_id == department.id,
            Resource.zone == zone,
            Resource.service == service.code,
            Backup.state == BackupState.KEPT,
        )
        .order_by(Backup.taken_at.desc())
        .limit(500)
    )
    return [
        Choice(b.number, f"{b.resource.name}（{_local(b.taken_at)}，{b.number}）") for b in rows
    ]


def _my_instances(
    session: Session, department: Department, zone: str, service: Service, _engine: str
) -> list[Choice]:
    """The department's resources of the same service whose data can be copied, by their number."""
    rows = _of_department(session, department, zone, (service.code,), RESTING)
    return [
        Choice(r.number, f"{r.name}（{r.number}）")
        for r in rows
        if service.can_clone(r.spec) and r.state in cloned_states(service.engine_of(r.spec))
    ]


def _local(at: datetime | None) -> str:
    return at.astimezone(LOCAL_ZONE).strftime("%Y-%m-%d %H:%M") if at else ""


def _my_databases(
    session: Session, department: Department, zone: str, _service: Service, _engine: str
) -> list[Choice]:
    """Databases that an application of the zone can use."""
    rows = _of_department(session, department, zone, DATABASES, STANDABLE)
    return [Choice(r.id, f"{r.name}（{r.number}）") for r in rows]


def _my_uploads(
    session: Session, department: Department, _zone: str, _service: Service, _engine: str
) -> list[Choice]:
    return [
        Choice(u.sha256, f"{u.filename}（{_local(u.uploaded_at)}，{u.sha256[:12]}）")
        for u in uploads_of(session, department.id)
    ]


_SOURCES = {
    "images": _images,
    "my_vms": _my_vms,
    "my_backups": _my_backups,
    "my_instances": _my_instances,
    "my_databases": _my_databases,
    "my_uploads": _my_uploads,
}
