"""Job rows for what has been decided: each is made in the transaction of its decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.admission.models import Pool, QuotaBound
from controlplane.catalogue.services import Action, Service
from controlplane.catalogue.versions import Catalogue
from controlplane.config import Settings
from controlplane.credentials import service as credentials
from controlplane.credentials.keyring import Keyring
from controlplane.engines import ONBOARDED
from controlplane.errors import DependenceRefused, StateConflict
from controlplane.machines import new_machine
from controlplane.provisioning import service as provisioning
from controlplane.provisioning.models import DepartmentSite, Job, Resource
from controlplane.provisioning.rules import ResourceState, SiteState, add_months
from controlplane.service_requests.models import ServiceRequest
from controlplane.standing import below_need_faults, stand_on
from controlplane.tenancy.models import Department

ONBOARD_PLAYBOOK = "ops/onboard.yml"
SYNC_QUOTA_PLAYBOOK = "ops/sync_quota.yml"
#: Stopped, a resource takes what is in force when it starts again.
FOLLOWING_STATES = (ResourceState.BUILDING, ResourceState.ACTIVE, ResourceState.CHANGING)
PLATFORM = "platform"  # the `service` of jobs that belong to no service


def service_of(catalogue: Catalogue, job: Job) -> Service | None:
    """The service in the version whose action the job is; None for the platform's own, and where
    this process does not know it."""
    if job.resource is None:
        return None
    version = job.payload.get("service_version", job.resource.service_version)
    return catalogue.version(job.service, version)


def onboard_department(
    session: Session, settings: Settings, department: Department, pool: Pool, now: datetime
) -> DepartmentSite:
    """The department's site for the pool's zone and cloud; made and set up once."""
    site, is_new = provisioning.find_or_make_site(
        session, department, pool.zone, pool.cloud, now, pool.engine
    )
    if is_new and site.state != SiteState.READY:
        provisioning.enqueue_job(
            session,
            action=provisioning.ONBOARD,
            service=PLATFORM,
            playbook=ONBOARD_PLAYBOOK,
            attempts_max=settings.job_attempts_max,
            now=now,
            payload={"quota": quota_of(session, department, pool.zone)},
            site=site,
        )
    return site


def sync_quota(
    session: Session, settings: Settings, site: DepartmentSite, now: datetime
) -> Job | None:
    """A job that brings the project's quota on the cloud in step; None when it is."""
    quota = quota_of(session, site.department, site.zone)
    is_kept_in_step = site.engine in ONBOARDED
    if not is_kept_in_step or site.state != SiteState.READY or quota == site.quota_synced:
        return None
    return provisioning.enqueue_job(
        session,
        action=provisioning.SYNC_QUOTA,
        service=PLATFORM,
        playbook=SYNC_QUOTA_PLAYBOOK,
        attempts_max=settings.job_attempts_max,
        now=now,
        payload={"quota": quota},
        site=site,
    )


def quota_of(session: Session, department: Department, zone: str) -> dict[str, int]:
    """What the department may hold in a zone: the tightest of its own and its ancestors' quotas."""
    rows = session.execute(
        sa.select(QuotaBound.dimension, sa.func.min(QuotaBound.capacity))
        .where(QuotaBound.department_id.in_(department.ancestor_ids()), QuotaBound.zone == zone)
        .group_by(QuotaBound.dimension)
        .order_by(QuotaBound.dimension)
    )
    return {dimension: int(capacity) for dimension, capacity in rows}


def start_delivery(
    session: Session,
    settings: Settings,
    catalogue: Catalogue,
    service: Service,
    request: ServiceRequest,
    now: datetime,
) -> Job:
    """The resource and the job of an approved request.

    Errors: as `lock_changeable` and `standing.stand_on`; DependenceRefused also where a change
    would leave too little for what stands on the resource.
    """
    action = service.actions[request.action]
    if action.kind == "create":
        resource = _new_resource(session, service, request, now)
        stand_on(session, catalogue, service, resource, request.spec)
        keyring = Keyring(settings.credential_keys)
        drawn = service.drawn(service.secrets)
        credentials.draw_missing(session, keyring, resource.id, drawn, now)
        machine = new_machine(session, settings, catalogue, service, resource, request, now)
        return start_build(session, settings, catalogue, machine or resource, now)
    assert request.resource_id is not None
    resource = lock_changeable(session, action, request.resource_id)
    # What was done since the request was sent (a volume attached) stays as it is.
    changed = {k: v for k, v in request.spec.items() if k in action.fields}
    request.spec = {**resource.spec, **changed}
    stand_on(session, catalogue, service, resource, request.spec)
    faults = below_need_faults(session, catalogue, resource, request.capacity)
    if faults:
        raise DependenceRefused(faults)
    payload: dict[str, Any] = {
        "spec": request.spec,
        "previous_spec": resource.spec,
        "resume_state": resource.state,
    }
    resource.state = ResourceState.CHANGING
    return enqueue_action(
        session, settings, service, action, resource, now, payload, request_id=request.id
    )


def start_build(
    session: Session, settings: Settings, catalogue: Catalogue, resource: Resource, now: datetime
) -> Job:
    """The job that builds a resource, for the request that it was ordered with."""
    service = catalogue.of(resource)
    payload = {"spec": resource.spec}
    action = service.actions["provision"]
    return enqueue_action(
        session, settings, service, action, resource, now, payload, request_id=resource.request_id
    )


def lock_changeable(session: Session, action: Action, resource_id: str) -> Resource:
    """The resource that a change is for, locked, so that no other action begins meanwhile.

    Errors: NotFound, StateConflict (its state does not allow the change), ResourceBusy.
    """
    resource = provisioning.lock_resource(session, resource_id)
    provisioning.check_idle(session, resource)
    if resource.state not in action.states:
        raise StateConflict(state=resource.state)
    return resource


def _new_resource(
    session: Session, service: Service, request: ServiceRequest, now: datetime
) -> Resource:
    assert request.pool is not None
    months = int(request.spec.get("lease_months", service.lease_default_months))
    resource = Resource(
        id=request.resource_id,
        number=provisioning.resource_number(session, now),
        request_id=request.id,
        department_id=request.department_id,
        service=service.code,
        service_version=request.service_version,
        name=request.title,
        zone=request.zone,
        pool_code=request.pool,
        state=ResourceState.BUILDING,
        spec=request.spec,
        capacity=request.capacity,
        outputs={},
        created_at=now,
        expires_at=add_months(now, months),
    )
    session.add(resource)
    session.flush()
    return resource


def enqueue_action(
    session: Session,
    settings: Settings,
    service: Service,
    action: Action,
    resource: Resource,
    now: datetime,
    payload: Mapping[str, Any],
    request_id: int | None = None,
) -> Job:
    pool = session.get_one(Pool, resource.pool_code)
    department = session.get_one(Department, resource.department_id)
    return provisioning.enqueue_job(
        session,
        action=action.code,
        service=service.code,
        playbook=f"services/{service.path}/{action.playbook}",
        attempts_max=settings.job_attempts_max,
        now=now,
        payload={**payload, "service_version": service.version},
        request_id=request_id,
        resource=resource,
        site=onboard_department(session, settings, department, pool, now),
    )


def follow_rotation(
    session: Session,
    catalogue: Catalogue,
    settings: Settings,
    parent: Resource,
    now: datetime,
) -> None:
    """Whatever stands on a resource with new secrets takes them, the old ones being valid still.

    The job names no spec: it keeps the one its resource has when its turn comes.
    """
    for resource in provisioning.dependents(session, parent.id):
        service = catalogue.find(resource)
        action = service.rotation_follower if service else None
        takes_part = resource.state in FOLLOWING_STATES
        if service is not None and action is not None and takes_part:
            enqueue_action(session, settings, service, action, resource, now, {"to_state": None})
