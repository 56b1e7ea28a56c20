"""What of a list a person may see: the policy table turned into a WHERE clause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane import policy
from controlplane.approval.models import ApprovalStep
from controlplane.policy import Subject
from controlplane.service_requests.models import ServiceRequest
from controlplane.tenancy.models import Department

T = TypeVar("T")
PAGE_SIZE = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `number` from 1."""

    rows: Sequence[T]
    number: int
    total: int
    size: int = PAGE_SIZE

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


def paged(session: Session, query: sa.Select[Any], number: int, size: int = PAGE_SIZE) -> Page[Any]:
    """One page of a query of one entity; a number past the end gives the last page."""
    total = session.scalar(sa.select(sa.func.count()).select_from(query.order_by(None).subquery()))
    total = int(total or 0)
    number = max(1, min(number, max(1, -(-total // size))))
    rows = session.scalars(query.limit(size).offset((number - 1) * size)).unique().all()
    return Page(rows, number, total, size)


def holds_text(text: str, *columns: Any) -> sa.ColumnElement[bool]:
    """Condition: `text` occurs in one of the columns, in capitals or not; a `%` is only a `%`."""
    if "\0" in text:  # PostgreSQL takes no such text, so nothing holds it
        return sa.false()
    return sa.or_(*(column.icontains(text[:100], autoescape=True) for column in columns))


def departments_in(subject: Subject, action: str, column: Any) -> sa.ColumnElement[bool]:
    """Condition: `column` (a department id) lies where the person may do `action`."""
    subtrees = policy.visible_subtrees(subject, action)
    if subtrees is None:
        return sa.true()
    if not subtrees:
        return sa.false()
    inside = sa.or_(*(Department.path.startswith(path) for path in subtrees))
    return sa.cast(column.in_(sa.select(Department.id).where(inside)), sa.Boolean)


def requests_visible(subject: Subject) -> sa.ColumnElement[bool]:
    """Requests of the person's subtrees, and those in which the person's offices take part.

    A draft is nobody's business but its department's.
    """
    own = departments_in(subject, "request.create", ServiceRequest.department_id)
    seen = departments_in(subject, "request.view", ServiceRequest.department_id)
    office_ids = subject.office_ids
    if office_ids:
        taking_part = sa.select(ApprovalStep.request_id).where(
            ApprovalStep.office_id.in_(office_ids)
        )
        seen = sa.or_(seen, ServiceRequest.id.in_(taking_part))
    return sa.and_(seen, sa.or_(own, ServiceRequest.state != "draft"))
