"""Tables of resources, jobs and the department's place on each cloud."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.tenancy.models import Department, Person


class Resource(Base):
    """资源实例: what was provisioned for a request. Its id tags every object on the cloud."""

    __tablename__ = "resource"
    __table_args__ = (
        sa.Index("ix_resource_department_id_state", "department_id", "state"),
        sa.Index("ix_resource_state_retire_at", "state", "retire_at"),
    )
    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(24), unique=True)
    request_id: Mapped[int] = mapped_column(sa.ForeignKey("service_request.id"), index=True)
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    service: Mapped[str] = mapped_column(sa.String(40))
    service_version: Mapped[str] = mapped_column(sa.String(20))
    name: Mapped[str] = mapped_column(sa.String(120))
    zone: Mapped[str] = mapped_column(sa.String(20))
    pool_code: Mapped[str] = mapped_column(sa.ForeignKey("pool.code"), index=True)
    state: Mapped[str] = mapped_column(sa.String(20))
    spec: Mapped[dict[str, Any]]
    capacity: Mapped[dict[str, Any]]
    outputs: Mapped[dict[str, Any]]
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    retire_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    is_protected: Mapped[bool] = mapped_column(default=False)
    #: When the end of its lease suspended it, and whether it ran until then.
    lease_suspended_at: Mapped[datetime | None]
    is_stopped_by_lease: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)

    department: Mapped[Department] = relationship(lazy="joined")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - read by SQLAlchemy


class ResourceDisk(Base):
    """What a resource's data took of its plan's disk when it was last measured.

    `level` is a `DiskLevel`; `is_read_only`: its server refused to write more.
    """

    __tablename__ = "resource_disk"
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), primary_key=True)
    used_bytes: Mapped[int]
    limit_gib: Mapped[int]
    level: Mapped[str] = mapped_column(sa.String(10), index=True)
    is_read_only: Mapped[bool]
    measured_at: Mapped[datetime]

    resource: Mapped[Resource] = relationship(lazy="joined", viewonly=True)


class TwoPersonAsk(Base):
    """双人复核: what one person asked for a protected resource and another has to agree to.

    `act` is a `GuardedAct`, `state` a `StepState`; at most one of a resource is pending. `detail`
    says with what: the number of the `backup`, or id and number of the `other` resource.
    """

    __tablename__ = "two_person_ask"
    __table_args__ = (
        sa.Index(
            "uq_two_person_ask_pending",
            "resource_id",
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        ),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    act: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str] = mapped_column(sa.String(20))
    asked_by_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    asked_at: Mapped[datetime]
    decided_by_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    opinion: Mapped[str] = mapped_column(sa.Text, default="")
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)

    asked_by: Mapped[Person] = relationship(lazy="joined", foreign_keys=[asked_by_id])
    decided_by: Mapped[Person | None] = relationship(lazy="joined", foreign_keys=[decided_by_id])
    resource: Mapped[Resource] = relationship(lazy="joined")


class Job(Base):
    """作业: one action to be done on a cloud by one playbook, tried until it ends.

    The row decides who runs: a worker owns a job while its `fence` is the one the row holds and
    `lease_until` lies ahead. `run_host` and `run_pgid` say where its playbook runs, for people; a
    run left behind by a dead worker is found by its job's folder.
    """

    __tablename__ = "job"
    __table_args__ = (sa.Index("ix_job_state_run_after", "state", "run_after"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(24), unique=True)
    action: Mapped[str] = mapped_column(sa.String(40))
    service: Mapped[str] = mapped_column(sa.String(40))
    playbook: Mapped[str] = mapped_column(sa.String(200))
    request_id: Mapped[int | None] = mapped_column(sa.ForeignKey("service_request.id"), index=True)
    resource_id: Mapped[str | None] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    site_id: Mapped[int | None] = mapped_column(sa.ForeignKey("department_site.id"), index=True)
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(sa.String(20))
    attempt: Mapped[int] = mapped_column(default=0)
    attempts_max: Mapped[int]
    run_after: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str] = mapped_column(sa.String(80), default="")
    run_host: Mapped[str] = mapped_column(sa.String(80), default="")
    run_pgid: Mapped[int | None]
    cancel_asked: Mapped[bool] = mapped_column(default=False)
    error: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    resource: Mapped[Resource | None] = relationship(lazy="joined")
    site: Mapped[DepartmentSite | None] = relationship(lazy="joined")


class JobStep(Base):
    """One task of a playbook run, for the job's page: name, duration, outcome."""

    __tablename__ = "job_step"
    __table_args__ = (sa.UniqueConstraint("job_id", "attempt", "ordinal"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(sa.ForeignKey("job.id"))
    attempt: Mapped[int]
    ordinal: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(200))
    state: Mapped[str] = mapped_column(sa.String(20))
    started_ms: Mapped[int]
    ended_ms: Mapped[int | None]


class DepartmentSite(Base):
    """A department's own place on a cloud for one zone: its project, network, security group.

    Set up once, by the onboarding playbook, before its first resource. State: pending, ready,
    failed.
    """

    __tablename__ = "department_site"
    __table_args__ = (sa.UniqueConstraint("department_id", "zone", "cloud"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    zone: Mapped[str] = mapped_column(sa.String(20))
    cloud: Mapped[str] = mapped_column(sa.String(60))
    engine: Mapped[str] = mapped_column(sa.String(20), default="openstack")
    project: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(20))
    outputs: Mapped[dict[str, Any]]
    quota_synced: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]

    department: Mapped[Department] = relationship(lazy="joined")
