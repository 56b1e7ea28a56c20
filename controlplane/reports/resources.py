"""Resources and jobs: lists with filters, one resource with its history and cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.approval.rules import StepState
from controlplane.audit import AuditEvent
from controlplane.errors import NotFound
from controlplane.metering.models import UsageInterval
from controlplane.policy import Subject, is_allowed
from controlplane.provisioning.filling import TOLD
from controlplane.provisioning.models import Job, JobStep, Resource, ResourceDisk, TwoPersonAsk
from controlplane.provisioning.rules import LIVE_STATES, RENEWABLE, UNFINISHED, ResourceState
from controlplane.reports.reminders import FIRST
from controlplane.reports.scope import Page, departments_in, holds_text, paged
from controlplane.service_requests.models import ServiceRequest


@dataclass(frozen=True)
class ResourceFilter:
    """Empty means: all that is not destroyed. `text` is looked for in number, name and address;
    with `expires_before` only running leases that end by then, the first first."""

    state: str = ""
    service: str = ""
    zone: str = ""
    department_id: int = 0
    text: str = ""
    expires_before: datetime | None = None


@dataclass(frozen=True)
class ResourceStory:
    resource: Resource
    request: ServiceRequest
    jobs: list[Job]
    events: list[AuditEvent]
    intervals: list[UsageInterval]
    parent: Resource | None
    standing_on_it: list[Resource]
    awaited: TwoPersonAsk | None
    disk: ResourceDisk | None

    @property
    def busy(self) -> bool:
        return any(job.state in UNFINISHED for job in self.jobs)


def list_resources(
    session: Session, subject: Subject, chosen: ResourceFilter, page: int = 1
) -> Page[Resource]:
    query = sa.select(Resource).where(
        departments_in(subject, "resource.view", Resource.department_id)
    )
    gone = (ResourceState.RETIRED, ResourceState.FAILED)
    query = query.where(
        Resource.state == chosen.state if chosen.state else Resource.state.not_in(gone)
    )
    if chosen.service:
        query = query.where(Resource.service == chosen.service)
    if chosen.zone:
        query = query.where(Resource.zone == chosen.zone)
    if chosen.department_id:
        query = query.where(Resource.department_id == chosen.department_id)
    if chosen.text:
        outputs = sa.cast(Resource.outputs, sa.String)
        query = query.where(holds_text(chosen.text, Resource.number, Resource.name, outputs))
    order: list[Any] = [Resource.created_at.desc(), Resource.number.desc()]
    if chosen.expires_before is not None:
        query = query.where(
            Resource.expires_at <= chosen.expires_before,
            sa.or_(
                Resource.state.in_(RENEWABLE),
                sa.and_(
                    Resource.state == ResourceState.RETIRING,
                    Resource.lease_suspended_at.is_not(None),
                ),
            ),
        )
        order.insert(0, Resource.expires_at)
    return paged(session, query.order_by(*order), page)


def find_resource(session: Session, subject: Subject, resource_id: str) -> Resource:
    """Errors: NotFound, also when it is not for this person."""
    row = session.get(Resource, resource_id)
    if row is None or not is_allowed(subject, "resource.view", department_path=row.department.path):
        raise NotFound
    return row


def find_resources(
    session: Session, subject: Subject, resource_ids: Iterable[str]
) -> dict[str, Resource]:
    """Those of several resources that the person may see, by id."""
    rows = session.scalars(
        sa.select(Resource).where(
            Resource.id.in_(list(resource_ids)),
            departments_in(subject, "resource.view", Resource.department_id),
        )
    )
    return {row.id: row for row in rows}


def resource_story(session: Session, subject: Subject, resource_id: str) -> ResourceStory:
    """One resource with its jobs, events and intervals (newest first). Errors: NotFound."""
    resource = find_resource(session, subject, resource_id)
    jobs = session.scalars(
        sa.select(Job).where(Job.resource_id == resource.id).order_by(Job.id.desc()).limit(50)
    ).all()
    events = session.scalars(
        sa.select(AuditEvent)
        .where(AuditEvent.object_type == "resource", AuditEvent.object_id == resource.number)
        .order_by(AuditEvent.id.desc())
        .limit(100)
    ).all()
    intervals = session.scalars(
        sa.select(UsageInterval)
        .where(UsageInterval.resource_id == resource.id)
        .order_by(UsageInterval.t0.desc(), UsageInterval.item)
        .limit(200)
    ).all()
    return ResourceStory(
        resource,
        session.get_one(ServiceRequest, resource.request_id),
        list(jobs),
        list(events),
        list(intervals),
        session.get(Resource, resource.parent_id) if resource.parent_id else None,
        standing_on(session, resource.id),
        _awaited(session, resource.id),
        session.get(ResourceDisk, resource.id),
    )


def standing_on(session: Session, resource_id: str) -> list[Resource]:
    """What stands on a resource, which therefore stays. They are of the same department."""
    gone = (ResourceState.RETIRED, ResourceState.FAILED)
    return list(
        session.scalars(
            sa.select(Resource)
            .where(Resource.parent_id == resource_id, Resource.state.not_in(gone))
            .order_by(Resource.number)
        )
    )


def _awaited(session: Session, resource_id: str) -> TwoPersonAsk | None:
    """What waits for a second person."""
    return session.scalars(
        sa.select(TwoPersonAsk).where(
            TwoPersonAsk.resource_id == resource_id, TwoPersonAsk.state == StepState.PENDING
        )
    ).first()


def asks_for(session: Session, subject: Subject) -> list[TwoPersonAsk]:
    """What waits for a second person that this one may be: asked by others, the first first."""
    return list(
        session.scalars(
            sa.select(TwoPersonAsk)
            .join(Resource, Resource.id == TwoPersonAsk.resource_id)
            .where(
                TwoPersonAsk.state == StepState.PENDING,
                TwoPersonAsk.asked_by_id != subject.person_id,
                departments_in(subject, "resource.second", Resource.department_id),
            )
            .order_by(TwoPersonAsk.id)
            .limit(50)
        )
    )


def expiring_soon(
    session: Session, subject: Subject, now: datetime, within: timedelta = FIRST
) -> Page[Resource]:
    """Resources of the person's departments whose lease ends `within` that time or has ended, the
    first first."""
    chosen = ResourceFilter(expires_before=now + within)
    return list_resources(session, subject, chosen)


def filling_up(session: Session, subject: Subject, limit: int = 6) -> list[ResourceDisk]:
    """Disks that somebody is to be told of, of resources the person may see, the fullest first."""
    share = ResourceDisk.used_bytes * 1.0 / sa.func.nullif(ResourceDisk.limit_gib, 0)
    return list(
        session.scalars(
            sa.select(ResourceDisk)
            .join(Resource, Resource.id == ResourceDisk.resource_id)
            .where(
                departments_in(subject, "resource.view", Resource.department_id),
                ResourceDisk.level.in_(TOLD),
                Resource.state.in_(LIVE_STATES),
            )
            .order_by(share.desc())
            .limit(limit)
        )
    )


def list_jobs(session: Session, *, state: str = "", text: str = "", page: int = 1) -> Page[Job]:
    """Every job, newest first; for engineers and supervisors only (the caller checks job.view)."""
    query = sa.select(Job)
    if state:
        query = query.where(Job.state == state)
    if text:
        query = query.where(holds_text(text, Job.number))
    return paged(session, query.order_by(Job.id.desc()), page)


def find_job(session: Session, job_id: int) -> tuple[Job, list[JobStep]]:
    """A job and the steps of its present try. Errors: NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound
    steps = session.scalars(
        sa.select(JobStep)
        .where(JobStep.job_id == job.id, JobStep.attempt == job.attempt)
        .order_by(JobStep.ordinal)
    ).all()
    return job, list(steps)
