"""What a playbook run is told: the one variable of its contract, see `playbooks/README.md`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from controlplane.admission.models import Pool
from controlplane.catalogue.services import Service
from controlplane.catalogue.versions import Catalogue
from controlplane.provisioning.models import DepartmentSite, Job, Resource
from controlplane.provisioning.pairs import MACHINE
from controlplane.service_requests.models import ServiceRequest
from controlplane.standing import parent_in
from controlplane.supplying import spec_of


def extravars(
    session: Session,
    catalogue: Catalogue,
    job: Job,
    site: DepartmentSite,
    pool: Pool | None,
) -> dict[str, Any]:
    """The playbook contract's one variable; see `playbooks/README.md`."""
    resource = job.resource
    department = site.department
    request = session.get(ServiceRequest, job.request_id) if job.request_id else None
    values: dict[str, Any] = {
        "action": job.action,
        "job_number": job.number,
        "request_number": request.number if request else "",
        "engine": site.engine,
        "cloud": "department",
        "admin_cloud": "admin",
        "availability_zone": pool.availability_zone if pool else "",
        "zone": site.zone,
        "department": {
            "code": department.code,
            "name": department.name_zh,
            "project": site.project,
            **site.outputs,
        },
        "spec": spec_of(job),
        "previous_spec": job.payload.get("previous_spec", {}),
        "inputs": job.payload.get("inputs", {}),
        "quota": job.payload.get("quota", {}),
        "is_undoing": bool(job.payload.get("revert")),
        "related": {},
        "outputs": {},
    }
    if resource is not None:
        values |= {
            "engine": catalogue.of(resource).engine_of(resource.spec)
            if resource.spec.get(MACHINE)
            else site.engine,
            "resource_id": resource.id,
            "resource_number": resource.number,
            "resource_name": resource.name,
            "outputs": resource.outputs,
            "service_version": job.payload.get("service_version", resource.service_version),
            "previous_service_version": resource.service_version,
            "related": _related(session, catalogue.of(resource), job, resource),
        }
    return values


def _related(session: Session, service: Service, job: Job, resource: Resource) -> dict[str, Any]:
    """The VM that the resource stands on, before and after this action; for an exchange, the
    other resource."""
    related: dict[str, Any] = {}
    other_id = job.payload.get("other_id")
    if other_id:
        other = session.get_one(Resource, other_id)
        related["other"] = {
            "resource_id": other.id,
            "outputs": other.outputs,
            "spec": other.spec,
        }
    for key, spec in (("vm", job.payload.get("spec", {})), ("previous_vm", resource.spec)):
        parent_id = parent_in(service, spec)
        parent = session.get(Resource, parent_id) if parent_id else None
        if parent is not None:
            related[key] = {"resource_id": parent.id, "outputs": parent.outputs}
    return related
