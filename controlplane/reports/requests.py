"""Requests: lists with filters, one request with its whole story, an office's to-do list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.approval.models import ApprovalStep
from controlplane.approval.rules import StepState
from controlplane.audit import AuditEvent
from controlplane.errors import NotFound
from controlplane.policy import Subject
from controlplane.provisioning.models import Job, JobStep, Resource
from controlplane.reports.scope import (
    Page,
    departments_in,
    holds_text,
    paged,
    requests_visible,
)
from controlplane.service_requests.models import ServiceRequest
from controlplane.service_requests.rules import OPEN_STATES


@dataclass(frozen=True)
class RequestFilter:
    """Empty means: all. `text` is looked for in number and title."""

    state: str = ""
    service: str = ""
    zone: str = ""
    text: str = ""
    mine: bool = False
    open_only: bool = False


@dataclass(frozen=True)
class RequestStory:
    request: ServiceRequest
    steps: list[ApprovalStep]
    resource: Resource | None
    jobs: list[Job]
    job_steps: list[JobStep]
    events: list[AuditEvent]

    @property
    def pending_step(self) -> ApprovalStep | None:
        return next((s for s in self.steps if s.state == StepState.PENDING), None)

    @property
    def current_job(self) -> Job | None:
        return self.jobs[-1] if self.jobs else None


def list_requests(
    session: Session, subject: Subject, chosen: RequestFilter, page: int = 1
) -> Page[ServiceRequest]:
    query = sa.select(ServiceRequest).where(requests_visible(subject))
    if chosen.state:
        query = query.where(ServiceRequest.state == chosen.state)
    if chosen.open_only:
        query = query.where(ServiceRequest.state.in_(OPEN_STATES))
    if chosen.service:
        query = query.where(ServiceRequest.service == chosen.service)
    if chosen.zone:
        query = query.where(ServiceRequest.zone == chosen.zone)
    if chosen.mine:
        query = query.where(ServiceRequest.applicant_id == subject.person_id)
    if chosen.text:
        query = query.where(holds_text(chosen.text, ServiceRequest.number, ServiceRequest.title))
    return paged(session, query.order_by(ServiceRequest.id.desc()), page)


def find_request(session: Session, subject: Subject, request_id: int) -> ServiceRequest:
    """Errors: NotFound, also when it is not for this person."""
    row = session.scalars(
        sa.select(ServiceRequest).where(ServiceRequest.id == request_id, requests_visible(subject))
    ).first()
    if row is None:
        raise NotFound
    return row


def request_story(session: Session, subject: Subject, request_id: int) -> RequestStory:
    """One request with steps, jobs and events, in a fixed number of queries. Errors: NotFound."""
    request = find_request(session, subject, request_id)
    steps = session.scalars(
        sa.select(ApprovalStep)
        .where(ApprovalStep.request_id == request.id)
        .order_by(ApprovalStep.round, ApprovalStep.ordinal)
    ).all()
    jobs = session.scalars(
        sa.select(Job).where(Job.request_id == request.id).order_by(Job.id)
    ).all()
    job_steps: list[JobStep] = []
    if jobs:
        last = jobs[-1]
        job_steps = list(
            session.scalars(
                sa.select(JobStep)
                .where(JobStep.job_id == last.id, JobStep.attempt == last.attempt)
                .order_by(JobStep.ordinal)
            )
        )
    events = session.scalars(
        sa.select(AuditEvent)
        .where(
            AuditEvent.object_type == "service_request",
            AuditEvent.object_id == (request.number or str(request.id)),
        )
        .order_by(AuditEvent.id)
    ).all()
    resource = session.get(Resource, request.resource_id) if request.resource_id else None
    return RequestStory(request, list(steps), resource, list(jobs), job_steps, list(events))


def to_decide(
    session: Session, subject: Subject, page: int = 1
) -> Page[tuple[ApprovalStep, ServiceRequest]]:
    """待办: steps whose turn it is in the person's offices, the longest waiting first."""
    return _steps(session, subject, ApprovalStep.state == StepState.PENDING, page)


def decided(
    session: Session, subject: Subject, page: int = 1
) -> Page[tuple[ApprovalStep, ServiceRequest]]:
    """已办: what the person's offices have decided, the newest first."""
    done = ApprovalStep.decided_at.is_not(None)
    return _steps(session, subject, done, page, newest_first=True)


def _steps(
    session: Session,
    subject: Subject,
    condition: sa.ColumnElement[bool],
    number: int,
    newest_first: bool = False,
) -> Page[tuple[ApprovalStep, ServiceRequest]]:
    query = sa.select(ApprovalStep).where(
        ApprovalStep.office_id.in_(subject.office_ids or {-1}), condition
    )
    order = ApprovalStep.decided_at.desc() if newest_first else ApprovalStep.started_at
    page = paged(session, query.order_by(order, ApprovalStep.id), number)
    requests = {
        r.id: r
        for r in session.scalars(
            sa.select(ServiceRequest).where(
                ServiceRequest.id.in_({step.request_id for step in page.rows})
            )
        )
    }
    rows = [(step, requests[step.request_id]) for step in page.rows]
    return Page(rows, page.number, page.total, page.size)


def count_to_decide(session: Session, subject: Subject) -> int:
    return int(
        session.scalar(
            sa.select(sa.func.count())
            .select_from(ApprovalStep)
            .where(
                ApprovalStep.office_id.in_(subject.office_ids or {-1}),
                ApprovalStep.state == StepState.PENDING,
            )
        )
        or 0
    )


def counts_by_state(session: Session, subject: Subject) -> dict[str, int]:
    """Requests of the person's departments by state."""
    scope: Any = departments_in(subject, "request.create", ServiceRequest.department_id)
    rows = session.execute(
        sa.select(ServiceRequest.state, sa.func.count()).where(scope).group_by(ServiceRequest.state)
    )
    return {state: int(n) for state, n in rows}
