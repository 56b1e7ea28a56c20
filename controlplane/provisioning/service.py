"""Use cases of jobs and resources; the job row decides who runs (lease, heartbeat, fence)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from controlplane import audit
from controlplane.audit import Actor
from controlplane.clock import LOCAL_ZONE
from controlplane.db import announce
from controlplane.engines import ONBOARDED, OPENSTACK, engine_of_site
from controlplane.errors import NotFound, ResourceBusy, StateConflict
from controlplane.provisioning.models import DepartmentSite, Job, JobStep, Resource
from controlplane.provisioning.rules import UNFINISHED, JobState, ResourceState, SiteState
from controlplane.service_requests.service import next_ordinal
from controlplane.tenancy.models import Department

ONBOARD = "onboard"
SYNC_QUOTA = "sync_quota"
#: What a worker of this process is told at once; those of other processes look by themselves.
JOB_QUEUED = "job_queued"


class LeaseLost(StateConflict):
    """The job is not ours any more: another worker took it over, or it was ended."""

    code = "state_conflict"


@dataclass(frozen=True)
class Step:
    """A task of a playbook run: times in epoch milliseconds."""

    ordinal: int
    name: str
    state: str
    started_ms: int
    ended_ms: int | None


def new_resource_id() -> str:
    return str(uuid.uuid4())


def dated_number(session: Session, prefix: str, now: datetime) -> str:
    """The next number of a day's series: `J-20261124-0007`."""
    day = now.astimezone(LOCAL_ZONE).strftime("%Y%m%d")
    return f"{prefix}-{day}-{next_ordinal(session, f'{prefix}-{day}'):04d}"


def resource_number(session: Session, now: datetime) -> str:
    year = now.astimezone(LOCAL_ZONE).year
    return f"R-{year}-{next_ordinal(session, f'R-{year}'):06d}"


def enqueue_job(
    session: Session,
    *,
    action: str,
    service: str,
    playbook: str,
    attempts_max: int,
    now: datetime,
    payload: Mapping[str, Any],
    request_id: int | None = None,
    resource: Resource | None = None,
    site: DepartmentSite | None = None,
) -> Job:
    """A job row, in the transaction of the decision that it carries out."""
    job = Job(
        number=dated_number(session, "J", now),
        action=action,
        service=service,
        playbook=playbook,
        request_id=request_id,
        resource=resource,
        site=site,
        payload=dict(payload),
        state=JobState.QUEUED,
        attempts_max=attempts_max,
        run_after=now,
        created_at=now,
    )
    session.add(job)
    session.flush()
    announce(session, JOB_QUEUED)
    return job


def claim_job(session: Session, *, worker: str, lease: timedelta, now: datetime) -> Job | None:
    """The next job that may run, now ours, or None.

    Ready is what waits and is due, and what runs under a lapsed lease (its worker died). Jobs of
    one resource run in their order, one at a time; a job waits until its site is ready. A cancelled
    one waits for neither: it is only to be ended.
    """
    earlier = aliased(Job)
    ready = sa.or_(
        sa.and_(Job.state == JobState.QUEUED, sa.or_(Job.run_after <= now, Job.cancel_asked)),
        sa.and_(Job.state == JobState.RUNNING, Job.lease_until < now),
    )
    blocked = (
        sa.select(earlier.id)
        .where(
            earlier.resource_id == Job.resource_id,
            earlier.id < Job.id,
            earlier.state.in_(UNFINISHED),
        )
        .exists()
    )
    site_ready = sa.or_(
        Job.site_id.is_(None),
        Job.action == ONBOARD,
        Job.cancel_asked,
        sa.select(DepartmentSite.id)
        .where(DepartmentSite.id == Job.site_id, DepartmentSite.state == SiteState.READY)
        .exists(),
    )
    candidates = session.execute(
        sa.select(Job.id, Job.fence)
        .where(ready, ~blocked, site_ready)
        .order_by(Job.run_after, Job.id)
        .limit(5)
    ).all()
    for job_id, fence in candidates:
        claimed = session.execute(
            sa.update(Job)
            .where(Job.id == job_id, Job.fence == fence, ready)
            .values(
                state=JobState.RUNNING,
                fence=fence + 1,
                attempt=Job.attempt + 1,
                worker=worker,
                lease_until=now + lease,
                started_at=sa.func.coalesce(Job.started_at, now),
                error="",
            )
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).scalar()
        if claimed is not None:
            return session.get_one(Job, job_id, populate_existing=True)
    return None


def heartbeat(
    session: Session, job_id: int, fence: int, *, lease: timedelta, now: datetime
) -> bool:
    """Prolongs our lease; returns whether cancelling was asked. Errors: LeaseLost."""
    cancel = session.execute(
        sa.update(Job)
        .where(Job.id == job_id, Job.fence == fence, Job.state == JobState.RUNNING)
        .values(lease_until=now + lease)
        .returning(Job.cancel_asked)
    ).scalar()
    if cancel is None:
        raise LeaseLost(state="lease lost")
    return bool(cancel)


def note_process(session: Session, job_id: int, fence: int, *, host: str, pgid: int) -> None:
    session.execute(
        sa.update(Job)
        .where(Job.id == job_id, Job.fence == fence)
        .values(run_host=host, run_pgid=pgid)
    )


def record_steps(session: Session, job_id: int, attempt: int, steps: Iterable[Step]) -> None:
    """Writes steps as they begin and end; a step already there is brought up to date."""
    known = {
        row.ordinal: row
        for row in session.scalars(
            sa.select(JobStep).where(JobStep.job_id == job_id, JobStep.attempt == attempt)
        )
    }
    for step in steps:
        row = known.get(step.ordinal)
        if row is None:
            row = JobStep(job_id=job_id, attempt=attempt, ordinal=step.ordinal)
            session.add(row)
        row.name, row.state = step.name[:200], step.state
        row.started_ms, row.ended_ms = step.started_ms, step.ended_ms
    session.flush()


def lock_running_job(session: Session, job_id: int, fence: int) -> Job:
    """The job, locked, if it is still ours. Errors: LeaseLost."""
    job = session.scalars(
        sa.select(Job)
        .where(Job.id == job_id, Job.fence == fence, Job.state == JobState.RUNNING)
        .with_for_update(of=Job)
        .execution_options(populate_existing=True)
    ).first()
    if job is None:
        raise LeaseLost(state="lease lost")
    return job


def end_job(job: Job, state: JobState, now: datetime, error: str = "") -> None:
    job.state, job.finished_at, job.error = state, now, error[:4000]
    job.lease_until = None


def retry_job(job: Job, run_after: datetime, error: str) -> None:
    """Puts a running job back into the queue for its next try."""
    job.state, job.run_after, job.error = JobState.QUEUED, run_after, error[:4000]
    job.lease_until = None


def lock_resource(session: Session, resource_id: str) -> Resource:
    """The resource as it is now, locked until the transaction ends. Errors: NotFound."""
    resource = session.scalars(
        sa.select(Resource)
        .where(Resource.id == resource_id)
        .with_for_update(of=Resource)
        .execution_options(populate_existing=True)
    ).first()
    if resource is None:
        raise NotFound
    return resource


def audit_resource(
    session: Session, actor: Actor, event: str, resource: Resource, at: datetime, **data: Any
) -> None:
    """An event of a resource, in the transaction of its change."""
    audit.record(
        session,
        actor,
        event,
        at=at,
        object_type="resource",
        object_id=resource.number,
        department_id=resource.department_id,
        **data,
    )


def check_idle(session: Session, resource: Resource) -> None:
    """One action at a time. Errors: ResourceBusy while a job of the resource is not finished."""
    busy = session.scalar(
        sa.select(Job.id).where(Job.resource_id == resource.id, Job.state.in_(UNFINISHED)).limit(1)
    )
    if busy is not None or resource.state == ResourceState.CHANGING:
        raise ResourceBusy(state=resource.state)


def dependents(session: Session, resource_id: str) -> list[Resource]:
    """Live resources that stand on this one."""
    return list(
        session.scalars(
            sa.select(Resource).where(
                Resource.parent_id == resource_id,
                Resource.state.not_in((ResourceState.RETIRED, ResourceState.FAILED)),
            )
        )
    )


def find_or_make_site(
    session: Session,
    department: Department,
    zone: str,
    cloud: str,
    now: datetime,
    engine: str = OPENSTACK,
) -> tuple[DepartmentSite, bool]:
    """The department's place on a cloud for a zone, and whether it was made just now."""
    site = session.scalars(
        sa.select(DepartmentSite).where(
            DepartmentSite.department_id == department.id,
            DepartmentSite.zone == zone,
            DepartmentSite.cloud == cloud,
        )
    ).first()
    if site is not None:
        return site, False
    engine = engine_of_site(engine)
    site = DepartmentSite(
        department_id=department.id,
        zone=zone,
        cloud=cloud,
        engine=engine,
        project=f"egov-{department.code}-{zone}",
        state=SiteState.PENDING,
        outputs={},
        created_at=now,
    )
    if engine not in ONBOARDED:
        site.state = SiteState.READY
    session.add(site)
    session.flush()
    return site, True


def due_for_destruction(session: Session, now: datetime, limit: int = 50) -> list[Resource]:
    """Retiring resources whose grace period is over and which no job is working on."""
    busy = (
        sa.select(Job.id).where(Job.resource_id == Resource.id, Job.state.in_(UNFINISHED)).exists()
    )
    return list(
        session.scalars(
            sa.select(Resource)
            .where(Resource.state == ResourceState.RETIRING, Resource.retire_at <= now, ~busy)
            .order_by(Resource.retire_at)
            .limit(limit)
            .with_for_update(of=Resource, skip_locked=True)
        )
    )


def lapse_leases(session: Session, workers: Iterable[str], now: datetime) -> int:
    """Lets the leases of dead workers lapse now rather than in their time; returns how many."""
    done = session.execute(
        sa.update(Job)
        .where(Job.state == JobState.RUNNING, Job.worker.in_(list(workers)))
        .values(lease_until=now - timedelta(seconds=1))
        .returning(Job.id)
    )
    return len(done.all())


def workers_running(session: Session) -> set[str]:
    """Names of the workers that hold a job."""
    return set(session.scalars(sa.select(Job.worker).where(Job.state == JobState.RUNNING)))
