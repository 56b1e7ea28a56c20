"""Tables of approval chains and of the steps (环节) of each request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.tenancy.models import Office, Person


class ApprovalChain(Base):
    """A declared chain; `steps` is a list of {office, name: {zh, en}, time_limit_working_days}."""

    __tablename__ = "approval_chain"
    code: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    steps: Mapped[list[Any]]


class ApprovalStep(Base):
    """环节: one office's decision on one request, in one round (a return starts a new round).

    `due_at` is computed once when the step starts and stored; None until time limits are declared.
    """

    __tablename__ = "approval_step"
    __table_args__ = (
        sa.UniqueConstraint("request_id", "round", "ordinal"),
        sa.Index("ix_approval_step_office_id_state", "office_id", "state"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    request_id: Mapped[int] = mapped_column(sa.ForeignKey("service_request.id"), index=True)
    round: Mapped[int]
    ordinal: Mapped[int]
    office_id: Mapped[int] = mapped_column(sa.ForeignKey("office.id"))
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    time_limit_working_days: Mapped[int | None]
    state: Mapped[str] = mapped_column(sa.String(20))
    started_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    opinion: Mapped[str] = mapped_column(sa.Text, default="")

    office: Mapped[Office] = relationship(lazy="joined")
    decided_by: Mapped[Person | None] = relationship(lazy="joined")
