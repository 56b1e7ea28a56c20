"""Use cases of a service request itself: numbering, drafting, moving between states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.clock import LOCAL_ZONE
from controlplane.errors import NotFound
from controlplane.service_requests.models import NumberSeries, ServiceRequest
from controlplane.service_requests.rules import RequestState, next_state, request_number


@dataclass(frozen=True)
class Asked:
    """What a request asks for, once its form is found good."""

    service: str
    service_version: str
    action: str
    zone: str
    title: str
    form: Mapping[str, Any]
    spec: Mapping[str, Any]
    capacity: Mapping[str, int]
    monthly_micro_yuan: int
    resource_id: str | None = None


def next_ordinal(session: Session, series: str) -> int:
    """The next number of a series; the row is locked until the transaction ends."""
    for _ in range(2):
        ordinal = session.execute(
            sa.update(NumberSeries)
            .where(NumberSeries.series == series)
            .values(last=NumberSeries.last + 1)
            .returning(NumberSeries.last)
        ).scalar()
        if ordinal is not None:
            return ordinal
        _start_series(session, series)
    raise RuntimeError(f"number series {series} cannot be started")


def _start_series(session: Session, series: str) -> None:
    values = {"series": series, "last": 0}
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        session.execute(pg_insert(NumberSeries).values(values).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        session.execute(sqlite_insert(NumberSeries).values(values).on_conflict_do_nothing())


def number_request(session: Session, request: ServiceRequest, now: datetime) -> None:
    """Gives a request its number at its first submission; it keeps it to the bill."""
    if request.number is None:
        year = now.astimezone(LOCAL_ZONE).year
        request.number = request_number(year, next_ordinal(session, f"SQ-{year}"))


def lock_request(session: Session, request_id: int) -> ServiceRequest:
    """The request as it is now, locked against other writers until the transaction ends.

    Errors: NotFound.
    """
    request = session.scalars(
        sa.select(ServiceRequest)
        .where(ServiceRequest.id == request_id)
        .with_for_update(of=ServiceRequest)
        .execution_options(populate_existing=True)
    ).first()
    if request is None:
        raise NotFound
    return request


def find_submission(session: Session, applicant_id: int, key: str) -> ServiceRequest | None:
    """The request that this very form already made: a form sent twice makes one request."""
    return session.scalars(
        sa.select(ServiceRequest).where(
            ServiceRequest.applicant_id == applicant_id, ServiceRequest.submission_key == key
        )
    ).first()


def new_request(
    session: Session,
    *,
    department_id: int,
    applicant_id: int,
    asked: Asked,
    now: datetime,
    submission_key: str | None,
) -> ServiceRequest:
    """A draft; submitting it is another step."""
    request = ServiceRequest(
        department_id=department_id,
        applicant_id=applicant_id,
        state=RequestState.DRAFT,
        submission_key=submission_key,
        created_at=now,
        service=asked.service,
        action=asked.action,
        service_version=asked.service_version,
    )
    revise_request(request, asked)
    session.add(request)
    session.flush()
    return request


def revise_request(request: ServiceRequest, asked: Asked) -> None:
    """Puts a new form into a draft or a returned request."""
    request.service_version = asked.service_version
    request.zone = asked.zone
    request.title = asked.title
    request.form = dict(asked.form)
    request.spec = dict(asked.spec)
    request.capacity = dict(asked.capacity)
    request.monthly_micro_yuan = asked.monthly_micro_yuan
    request.resource_id = asked.resource_id


def move_request(request: ServiceRequest, event: str, now: datetime, reason: str = "") -> None:
    """Moves the request and stamps the time. Errors: StateConflict."""
    request.state = next_state(request.state, event)
    if event == "submit":
        request.submitted_at = now
    if event in ("approve", "refuse"):
        request.decided_at = now
    if event in ("refuse", "withdraw", "deliver", "fail"):
        request.closed_at = now
    if reason or event == "submit":
        request.reason = reason
