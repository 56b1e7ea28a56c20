"""Tables of usage intervals and prices."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from controlplane.db import Base, BigId


class UsageInterval(Base):
    """What one resource held of one item, half open [t0, t1), epoch seconds; t1 None: still held.

    `quantity` is in the item's unit (cores, MiB, GiB). `learned_at` is when we learned of it.
    """

    __tablename__ = "usage_interval"
    __table_args__ = (
        sa.Index("ix_usage_interval_resource_id_item", "resource_id", "item"),
        sa.Index("ix_usage_interval_department_id_t0", "department_id", "t0"),
        sa.Index("ix_usage_interval_t1", "t1"),
        sa.Index(
            "uq_usage_interval_open",
            "resource_id",
            "item",
            unique=True,
            sqlite_where=sa.text("t1 IS NULL"),
            postgresql_where=sa.text("t1 IS NULL"),
        ),
        sa.CheckConstraint("t1 IS NULL OR t1 > t0", name="half_open"),
        sa.CheckConstraint("quantity > 0", name="something_held"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"))
    department_id: Mapped[int] = mapped_column(sa.ForeignKey("department.id"))
    request_number: Mapped[str] = mapped_column(sa.String(24))
    item: Mapped[str] = mapped_column(sa.String(40))
    quantity: Mapped[int]
    t0: Mapped[int]
    t1: Mapped[int | None]
    learned_at: Mapped[int]


class UseHour(Base):
    """What a resource used in the hour that begins at `hour` (epoch seconds), by `samples`: the
    means are sum / samples. What it held stands in its intervals."""

    __tablename__ = "use_hour"
    __table_args__ = (sa.Index("ix_use_hour_hour", "hour"),)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True)
    samples: Mapped[int]
    cpu_millicores_sum: Mapped[int]
    cpu_millicores_max: Mapped[int]
    memory_mib_sum: Mapped[int]
    memory_mib_max: Mapped[int]
    #: Epoch seconds of the newest sample.
    sampled_at: Mapped[int]


class Price(Base):
    """A dated price segment of an item: micro-yuan per unit and hour, from `t0` on until the next.

    One price unit is `unit_quantity` of what intervals count (1024 MiB make the GiB that memory is
    priced in).
    """

    __tablename__ = "price"
    __table_args__ = (sa.UniqueConstraint("item", "t0"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item: Mapped[str] = mapped_column(sa.String(40))
    name_zh: Mapped[str] = mapped_column(sa.String(60))
    name_en: Mapped[str] = mapped_column(sa.String(60))
    unit: Mapped[str] = mapped_column(sa.String(20))
    unit_quantity: Mapped[int]
    micro_yuan_per_hour: Mapped[int]
    t0: Mapped[int]
