"""Departments, people and the audit trail, for administrators and supervisors."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.audit import AuditEvent
from controlplane.reports.scope import Page, paged
from controlplane.tenancy.models import Department, Person


def list_departments(session: Session) -> list[Department]:
    """The tree, each parent above its children."""
    return list(session.scalars(sa.select(Department).order_by(Department.path)))


def list_people(session: Session, page: int = 1) -> Page[Person]:
    return paged(session, sa.select(Person).order_by(Person.department_id, Person.login), page)


def list_events(
    session: Session, *, event: str = "", object_id: str = "", page: int = 1
) -> Page[AuditEvent]:
    """The audit trail, newest first."""
    query = sa.select(AuditEvent)
    if event:
        query = query.where(AuditEvent.event == event)
    if object_id:
        query = query.where(AuditEvent.object_id == object_id)
    return paged(session, query.order_by(AuditEvent.id.desc()), page)
