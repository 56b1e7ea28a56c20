"""What waits for one person, as counts: for the menu's badges and the bell."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.policy import Subject, is_allowed
from controlplane.provisioning.models import Job
from controlplane.provisioning.rules import JobState
from controlplane.reports.requests import count_to_decide
from controlplane.reports.scope import departments_in
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import RequestState


@dataclass(frozen=True)
class Waiting:
    """`to_decide` steps, `returned` requests, `failed_jobs` that nobody has retried."""

    to_decide: int = 0
    returned: int = 0
    failed_jobs: int = 0

    @property
    def total(self) -> int:
        return self.to_decide + self.returned + self.failed_jobs


def waiting_for(session: Session, subject: Subject) -> Waiting:
    """Only what the person may act on is counted."""
    return Waiting(
        to_decide=count_to_decide(session, subject) if subject.office_ids else 0,
        returned=_count_returned(session, subject) if is_allowed(subject, "request.create") else 0,
        failed_jobs=_count_failed(session) if is_allowed(subject, "job.manage") else 0,
    )


def _count_returned(session: Session, subject: Subject) -> int:
    scope = departments_in(subject, "request.create", ServiceRequest.department_id)
    return int(
        session.scalar(
            sa.select(sa.func.count())
            .select_from(ServiceRequest)
            .where(scope, ServiceRequest.state == RequestState.RETURNED)
        )
        or 0
    )


def _count_failed(session: Session) -> int:
    return int(
        session.scalar(
            sa.select(sa.func.count()).select_from(Job).where(Job.state == JobState.FAILED)
        )
        or 0
    )
