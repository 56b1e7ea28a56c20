"""Tables of service requests (申请单) and of the counters that number things."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.tenancy.models import Department, Person


class NumberSeries(Base):
    """Last number given in a series such as "SQ-2026"."""

    __tablename__ = "number_series"
    series: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    last: Mapped[int] = mapped_column(default=0)


class ServiceRequest(Base):
    """申请单: what a department asks of one service, with the number that follows it to the bill.

    `form` is what was typed, `spec` the form with its defaults and its plan, `capacity` the vector
    that admission claims (for a change: the size after it). `resource_id` names the resource that
    the request makes or acts on.
    """

    __tablename__ = "service_request"
    __table_args__ = (
        sa.UniqueConstraint("applicant_id", "submission_key"),
        sa.Index("ix_service_request_department_id_state", "department_id", "state"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str | None] = mapped_column(sa.String(24), unique=True)
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    applicant_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"), index=True)
    service: Mapped[str] = mapped_column(sa.String(40))
    service_version: Mapped[str] = mapped_column(sa.String(20))
    action: Mapped[str] = mapped_column(sa.String(40))
    title: Mapped[str] = mapped_column(sa.String(120))
    zone: Mapped[str] = mapped_column(sa.String(20))
    pool: Mapped[str | None] = mapped_column(sa.String(40))
    resource_id: Mapped[str | None] = mapped_column(sa.String(36), index=True)
    form: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    capacity: Mapped[dict[str, Any]]
    monthly_micro_yuan: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(sa.String(20), index=True)
    reason: Mapped[str] = mapped_column(sa.Text, default="")
    submission_key: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None] = mapped_column(index=True)
    decided_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    department: Mapped[Department] = relationship(lazy="joined")
    applicant: Mapped[Person] = relationship(lazy="joined")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - read by SQLAlchemy
