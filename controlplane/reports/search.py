"""Finding anything by its number, name or address, within what the person may see."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.policy import Subject, is_allowed
from controlplane.provisioning.models import Job, Resource
from controlplane.reports.requests import RequestFilter, list_requests
from controlplane.reports.resources import ResourceFilter, list_jobs, list_resources
from controlplane.reports.scope import departments_in, requests_visible
from controlplane.service_requests.models import ServiceRequest

SHOWN = 10


@dataclass(frozen=True)
class Found:
    """At most ten of each kind."""

    requests: list[ServiceRequest]
    resources: list[Resource]
    jobs: list[Job]

    @property
    def total(self) -> int:
        return len(self.requests) + len(self.resources) + len(self.jobs)


def find_number(session: Session, subject: Subject, number: str) -> tuple[str, int | str] | None:
    """What bears exactly this number: ("request" | "resource" | "job", its id), or None."""
    number = number.strip().upper()
    if not number.isascii() or not number.isprintable():
        return None
    request_id = session.scalar(
        sa.select(ServiceRequest.id).where(
            ServiceRequest.number == number, requests_visible(subject)
        )
    )
    if request_id is not None:
        return "request", request_id
    scope = departments_in(subject, "resource.view", Resource.department_id)
    resource_id = session.scalar(sa.select(Resource.id).where(Resource.number == number, scope))
    if resource_id is not None:
        return "resource", resource_id
    if is_allowed(subject, "job.view"):
        job_id = session.scalar(sa.select(Job.id).where(Job.number == number))
        if job_id is not None:
            return "job", job_id
    return None


def find_anything(session: Session, subject: Subject, text: str) -> Found:
    """Requests, resources and jobs in whose number, name or address the text occurs."""
    text = text.strip()
    if not text:
        return Found([], [], [])
    requests = list_requests(session, subject, RequestFilter(text=text)).rows
    resources = list_resources(session, subject, ResourceFilter(text=text)).rows
    jobs = list_jobs(session, text=text).rows if is_allowed(subject, "job.view") else []
    return Found(list(requests[:SHOWN]), list(resources[:SHOWN]), list(jobs[:SHOWN]))
