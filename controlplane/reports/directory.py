"""Single look-ups of departments and people, for the frame of the pages and for forms."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from controlplane.errors import NotFound
from controlplane.policy import Subject
from controlplane.reports.scope import departments_in
from controlplane.tenancy.models import Department, Person


def find_department(session: Session, department_id: int) -> Department:
    """Errors: NotFound."""
    department = session.get(Department, department_id)
    if department is None:
        raise NotFound
    return department


def departments_for(session: Session, subject: Subject, action: str) -> list[Department]:
    """Departments for which the person may do `action`, each parent above its children."""
    return list(
        session.scalars(
            sa.select(Department)
            .where(departments_in(subject, action, Department.id))
            .order_by(Department.path)
        )
    )


def count_people_by_department(session: Session) -> dict[int, int]:
    """How many active people each department has."""
    rows = session.execute(
        sa.select(Person.department_id, sa.func.count())
        .where(Person.active.is_(True))
        .group_by(Person.department_id)
    )
    return {department_id: int(number) for department_id, number in rows}
