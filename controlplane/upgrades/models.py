"""Tables of upgrade campaigns and their members."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.provisioning.models import Job, Resource


class Campaign(Base):
    """升级任务: instances of one service from one version to another. Of a service at most one is
    open. `groups` are the selectors as written; `window` is empty where it may go on at any time.
    """

    __tablename__ = "upgrade_campaign"
    __table_args__ = (
        sa.Index(
            "uq_upgrade_campaign_open",
            "service",
            unique=True,
            sqlite_where=sa.text("state IN ('running', 'stopped')"),
            postgresql_where=sa.text("state IN ('running', 'stopped')"),
        ),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(24), unique=True)
    service: Mapped[str] = mapped_column(sa.String(40))
    from_version: Mapped[str] = mapped_column(sa.String(20))
    to_version: Mapped[str] = mapped_column(sa.String(20))
    state: Mapped[str] = mapped_column(sa.String(20))
    at_once: Mapped[int]
    groups: Mapped[list[Any]] = mapped_column("group_selectors")
    window: Mapped[str] = mapped_column("maintenance_window", sa.String(60), default="")
    started_by: Mapped[str] = mapped_column(sa.String(80))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(sa.Text, default="")

    members: Mapped[list[Member]] = relationship(
        order_by="Member.group, Member.id", back_populates="campaign"
    )


class Member(Base):
    """One instance of a campaign. `preview` is what the campaign was started on: capacity before
    and after, price, restart, playbook; `reason` why it failed or was skipped."""

    __tablename__ = "upgrade_member"
    __table_args__ = (sa.UniqueConstraint("campaign_id", "resource_id"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("upgrade_campaign.id"))
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    group: Mapped[int] = mapped_column("group_number")
    state: Mapped[str] = mapped_column(sa.String(20))
    preview: Mapped[dict[str, Any]]
    job_id: Mapped[int | None] = mapped_column(sa.ForeignKey("job.id"))
    reason: Mapped[str] = mapped_column(sa.Text, default="")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    campaign: Mapped[Campaign] = relationship(back_populates="members")
    resource: Mapped[Resource] = relationship(lazy="joined")
    job: Mapped[Job | None] = relationship(lazy="joined")
