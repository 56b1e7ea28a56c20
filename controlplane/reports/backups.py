"""Backups as people look at them: those of one resource, and what engineers have to attend to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.backups import logs, rules
from controlplane.backups import service as backups
from controlplane.backups.log_rules import Span
from controlplane.backups.models import Backup, BackupSchedule, LogArchive, RestoreDrill
from controlplane.backups.rules import BackupKind, BackupState, DrillResult
from controlplane.catalogue.services import BackupPlan
from controlplane.catalogue.versions import Catalogue
from controlplane.errors import NotFound
from controlplane.policy import Subject, is_allowed
from controlplane.provisioning.models import Resource
from controlplane.provisioning.rules import ResourceState
from controlplane.reports.resources import find_resource
from controlplane.reports.scope import Page, paged

SHOWN_ON_CARD = 8
WATCHED = (ResourceState.ACTIVE, ResourceState.STOPPED)


@dataclass(frozen=True)
class Proof:
    """What is known of restoring a resource's backups; `proven` is the last drill that passed."""

    proven: RestoreDrill | None
    latest: RestoreDrill | None
    is_overdue: bool


@dataclass(frozen=True)
class BackupCard:
    """One resource's backups, newest first; `next_at` None where none will be taken by itself."""

    plan: BackupPlan
    next_at: datetime | None
    rows: Sequence[Backup]
    total: int
    kept_bytes: int
    proof: Proof


@dataclass(frozen=True)
class DrillWanted:
    """A resource whose backups nobody has proven in time, or whose last drill has failed."""

    resource: Resource
    proven_at: datetime | None
    has_failed: bool


@dataclass(frozen=True)
class Stalled:
    """An archive of a server's log that was not brought up the last time; `resource`: whose own
    server it is."""

    archive: LogArchive
    resource: Resource | None


@dataclass(frozen=True)
class Attention:
    """`failed`: the newest backup of each resource where that has failed; `waiting`: destructions
    that wait for a last backup that has failed."""

    failed: Sequence[Backup]
    waiting: Sequence[Backup]
    drills: Sequence[DrillWanted]
    stalled: Sequence[Stalled]

    @property
    def total(self) -> int:
        return len(self.failed) + len(self.waiting) + len(self.drills) + len(self.stalled)


def backup_card(
    session: Session, resource: Resource, declared: BackupPlan, now: datetime
) -> BackupCard:
    """For the resource's page; the caller has looked whether it may be seen."""
    plan = backups.plan_of(declared, session.get(BackupSchedule, resource.id))
    page = paged(session, _of(resource.id), 1, SHOWN_ON_CARD)
    kept_bytes = session.scalar(
        sa.select(sa.func.sum(Backup.size_bytes)).where(
            Backup.resource_id == resource.id, Backup.state == BackupState.KEPT
        )
    )
    watched = resource.state in WATCHED
    return BackupCard(
        plan,
        rules.next_moment(now, plan.daily_at) if watched else None,
        page.rows,
        page.total,
        int(kept_bytes or 0),
        proof_of(session, resource, now),
    )


def proof_of(session: Session, resource: Resource, now: datetime) -> Proof:
    query = sa.select(RestoreDrill).where(RestoreDrill.resource_id == resource.id)
    newest = query.order_by(RestoreDrill.id.desc()).limit(1)
    proven = session.scalars(newest.where(RestoreDrill.result == DrillResult.PASSED)).first()
    first_kept_at = backups.first_kept(session, [resource.id]).get(resource.id)
    overdue = resource.state in WATCHED and rules.is_drill_overdue(
        now, first_kept_at, proven.finished_at if proven else None
    )
    return Proof(proven, session.scalars(newest).first(), overdue)


def list_backups(
    session: Session, subject: Subject, resource_id: str, page: int = 1
) -> Page[Backup]:
    """Every backup that a resource ever had, newest first. Errors: NotFound."""
    return paged(session, _of(_visible(session, subject, resource_id).id), page)


def moments_of(
    session: Session, catalogue: Catalogue, subject: Subject, resource_id: str
) -> Span | None:
    """Moments of a resource that can be had; None where none can. Errors: NotFound."""
    resource = _visible(session, subject, resource_id)
    service = catalogue.find(resource)
    has = service is not None and service.has_moments(resource.spec)
    return logs.span_of(session, resource) if has else None


def has_archived_log(session: Session, catalogue: Catalogue, resource: Resource) -> bool:
    """Whether moments of it are offered: that of the server that it stands on is archived."""
    service = catalogue.find(resource)
    has = service is not None and service.has_moments(resource.spec)
    return has and logs.archive_of(session, resource) is not None


def list_drills(
    session: Session, subject: Subject, resource_id: str, page: int = 1
) -> Page[RestoreDrill]:
    """Every drill of a resource, newest first. Errors: NotFound."""
    resource = _visible(session, subject, resource_id)
    query = sa.select(RestoreDrill).where(RestoreDrill.resource_id == resource.id)
    return paged(session, query.order_by(RestoreDrill.id.desc()), page)


def find_backup(session: Session, subject: Subject, number: str) -> Backup:
    """Errors: NotFound, also when it is not for this person."""
    backup = backups.find_backup(session, number)
    path = backup.resource.department.path if backup else None
    if backup is None or not is_allowed(subject, "backup.view", department_path=path):
        raise NotFound
    return backup


def exchangeable_with(session: Session, resource: Resource) -> list[Resource]:
    """Running resources of the same department, service and pool."""
    return list(
        session.scalars(
            sa.select(Resource)
            .where(
                Resource.id != resource.id,
                Resource.department_id == resource.department_id,
                Resource.service == resource.service,
                Resource.pool_code == resource.pool_code,
                Resource.state == ResourceState.ACTIVE,
            )
            .order_by(Resource.created_at.desc())
            .limit(200)
        )
    )


def to_attend(session: Session, catalogue: Catalogue, now: datetime) -> Attention:
    """For engineers; the caller checks that the person is one."""
    newest = (
        sa.select(sa.func.max(Backup.id))
        .where(Backup.state != BackupState.PENDING)
        .group_by(Backup.resource_id)
    )
    failed = session.scalars(
        sa.select(Backup)
        .join(Resource, Resource.id == Backup.resource_id)
        .where(
            Backup.id.in_(newest),
            Backup.state == BackupState.FAILED,
            Resource.state != ResourceState.RETIRED,
        )
        .order_by(Backup.id.desc())
        .limit(50)
    ).all()
    return Attention(
        [backup for backup in failed if backup.kind != BackupKind.LAST],
        [backup for backup in failed if backup.kind == BackupKind.LAST],
        _drills_wanted(session, catalogue, now),
        [Stalled(archive, of) for archive, of in logs.going_on(session) if archive.error],
    )


def _drills_wanted(session: Session, catalogue: Catalogue, now: datetime) -> list[DrillWanted]:
    services = {s.code for s in catalogue.every_version if s.backups is not None}
    watched = sa.and_(Resource.service.in_(services), Resource.state.in_(WATCHED))
    ids = [
        resource.id
        for resource in session.scalars(sa.select(Resource).where(watched))
        if catalogue.of(resource).backups_of(resource.spec)
    ]
    first, proven = backups.first_kept(session, ids), backups.last_proven(session, ids)
    newest = sa.select(sa.func.max(RestoreDrill.id)).group_by(RestoreDrill.resource_id)
    failed = set(
        session.scalars(
            sa.select(RestoreDrill.resource_id).where(
                RestoreDrill.id.in_(newest), RestoreDrill.result == DrillResult.FAILED
            )
        )
    )
    wanted = [
        each
        for each in ids
        if each in failed or rules.is_drill_overdue(now, first.get(each), proven.get(each))
    ][:50]
    rows = session.scalars(sa.select(Resource).where(Resource.id.in_(wanted)))
    return [DrillWanted(row, proven.get(row.id), row.id in failed) for row in rows]


def _of(resource_id: str) -> sa.Select[Backup]:
    return sa.select(Backup).where(Backup.resource_id == resource_id).order_by(Backup.id.desc())


def _visible(session: Session, subject: Subject, resource_id: str) -> Resource:
    resource = find_resource(session, subject, resource_id)
    if not is_allowed(subject, "backup.view", department_path=resource.department.path):
        raise NotFound
    return resource
