"""What waits for one person, as counts: for the menu's badges and the bell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.policy import Subject, is_allowed
from controlplane.provisioning.models import Job, Resource
from controlplane.provisioning.rules import LIVE_STATES, JobState
from controlplane.reports import certificates
from controlplane.reports.reminders import BELL
from controlplane.reports.requests import count_to_decide
from controlplane.reports.scope import departments_in
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState


@dataclass(frozen=True)
class Waiting:
    """`to_decide` steps, `returned` requests, `failed_jobs` that nobody has retried; `ending`
    leases and certificates of which the second reminder is due."""

    to_decide: int = 0
    returned: int = 0
    failed_jobs: int = 0
    ending: int = 0

    @property
    def total(self) -> int:
        return self.to_decide + self.returned + self.failed_jobs + self.ending


def waiting_for(session: Session, subject: Subject, now: datetime) -> Waiting:
    """Only what the person may act on is counted."""
    returned, ending = _count_own(session, subject, now)
    return Waiting(
        to_decide=count_to_decide(session, subject) if subject.office_ids else 0,
        returned=returned,
        failed_jobs=_count_failed(session) if is_allowed(subject, "job.manage") else 0,
        ending=ending,
    )


def _count_own(session: Session, subject: Subject, now: datetime) -> tuple[int, int]:
    """Returned requests, and what ends soon, of the person's departments: in one statement."""
    if not is_allowed(subject, "request.create"):
        return 0, 0
    returned = (
        sa.select(sa.func.count())
        .select_from(ServiceRequest)
        .where(
            departments_in(subject, "request.create", ServiceRequest.department_id),
            ServiceRequest.state == RequestState.RETURNED,
        )
    )
    leases = (
        sa.select(sa.func.count())
        .select_from(Resource)
        .where(
            departments_in(subject, "resource.renew", Resource.department_id),
            Resource.state.in_(LIVE_STATES),
            Resource.expires_at > now,
            Resource.expires_at <= now + BELL,
        )
    )
    counts = (returned, leases, certificates.count_ending(subject, now))
    row = session.execute(sa.select(*(count.scalar_subquery() for count in counts))).one()
    return int(row[0]), int(row[1]) + int(row[2])


def _count_failed(session: Session) -> int:
    return int(
        session.scalar(
            sa.select(sa.func.count()).select_from(Job).where(Job.state == JobState.FAILED)
        )
        or 0
    )
