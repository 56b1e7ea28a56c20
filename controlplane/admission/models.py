"""Tables of pools, quotas and claims; counters stand on the bounded row itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.tenancy.models import Department


class Pool(Base):
    """资源池 of one network zone on one cloud's availability zone.

    `cloud_capacity` is what the cloud itself reports, by dimension, and `cloud_images` the images
    it offers as {name, title}, both read at `cloud_read_at`.
    """

    __tablename__ = "pool"
    code: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    name_zh: Mapped[str] = mapped_column(sa.String(120))
    name_en: Mapped[str] = mapped_column(sa.String(120))
    zone: Mapped[str] = mapped_column(sa.String(20), index=True)
    engine: Mapped[str] = mapped_column(sa.String(20))
    cloud: Mapped[str] = mapped_column(sa.String(60))
    availability_zone: Mapped[str] = mapped_column(sa.String(60))
    warning_percent: Mapped[int] = mapped_column(default=80)
    ordinal: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)
    cloud_capacity: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    cloud_images: Mapped[list[Any] | None] = mapped_column(sa.JSON)
    cloud_read_at: Mapped[datetime | None]
    cloud_error: Mapped[str] = mapped_column(sa.Text, default="")

    bounds: Mapped[list[PoolBound]] = relationship(lazy="selectin", order_by="PoolBound.dimension")


class PoolBound(Base):
    """Capacity of a pool in one dimension, with what is held for and allocated to requests.

    The bounds here and in QuotaBound are enforced by the conditional UPDATE in `service.py`, not by
    a CHECK: a capacity lowered below use must stay representable, and then takes nothing more.
    """

    __tablename__ = "pool_bound"
    __table_args__ = (
        sa.UniqueConstraint("pool_code", "dimension"),
        sa.CheckConstraint("held >= 0 AND allocated >= 0", name="not_negative"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    pool_code: Mapped[str] = mapped_column(sa.ForeignKey("pool.code"))
    dimension: Mapped[str] = mapped_column(sa.String(40))
    capacity: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    allocated: Mapped[int] = mapped_column(default=0)


class QuotaBound(Base):
    """配额 of a department's whole subtree in one zone and dimension."""

    __tablename__ = "quota_bound"
    __table_args__ = (
        sa.UniqueConstraint("department_id", "zone", "dimension"),
        sa.CheckConstraint("held >= 0 AND allocated >= 0", name="not_negative"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    zone: Mapped[str] = mapped_column(sa.String(20))
    dimension: Mapped[str] = mapped_column(sa.String(40))
    capacity: Mapped[int]
    held: Mapped[int] = mapped_column(default=0)
    allocated: Mapped[int] = mapped_column(default=0)

    department: Mapped[Department] = relationship(lazy="joined")


class Claim(Base):
    """What one request, or one member of an upgrade, claims in one dimension, against its pool and
    its department's quotas.

    `amount` may be negative for a change that shrinks: it is then given back only when the change
    is done. State: held, allocated, released.
    """

    __tablename__ = "claim"
    __table_args__ = (
        sa.UniqueConstraint("request_id", "dimension"),
        sa.UniqueConstraint("upgrade_member_id", "dimension"),
        sa.CheckConstraint("(request_id IS NULL) <> (upgrade_member_id IS NULL)", name="one_cause"),
        sa.Index("ix_claim_resource_id_state", "resource_id", "state"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    request_id: Mapped[int | None] = mapped_column(sa.ForeignKey("service_request.id"))
    upgrade_member_id: Mapped[int | None] = mapped_column(sa.ForeignKey("upgrade_member.id"))
    resource_id: Mapped[str] = mapped_column(sa.String(36))
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"), index=True)
    pool_code: Mapped[str] = mapped_column(sa.ForeignKey("pool.code"), index=True)
    zone: Mapped[str] = mapped_column(sa.String(20))
    dimension: Mapped[str] = mapped_column(sa.String(40))
    amount: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(20))
    changed_at: Mapped[datetime]
