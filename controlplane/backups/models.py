"""Tables of backups, their schedules and the drills that prove them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from controlplane.db import Base, BigId
from controlplane.provisioning.models import Resource


class Backup(Base):
    """备份: one archive of one resource. It outlives the resource and its schedule.

    `due_at` is the moment of the schedule that asked for it, so that a moment asks once. `manifest`
    says what is in it (rows and checksum of each table, versions, the archive's own checksum).
    `location` is the archive's path below the backup store. `recipient` is the public half of its
    own key, `sealed_key` the other half, sealed by the keyring and wiped with the archive.
    """

    __tablename__ = "backup"
    __table_args__ = (
        sa.UniqueConstraint("resource_id", "due_at"),
        sa.Index("ix_backup_state_retained_until", "state", "retained_until"),
    )
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(sa.String(24), unique=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    state: Mapped[str] = mapped_column(sa.String(10))
    due_at: Mapped[datetime | None]
    keep_days: Mapped[int]
    location: Mapped[str] = mapped_column(sa.String(200))
    recipient: Mapped[str] = mapped_column(sa.String(80))
    sealed_key: Mapped[str] = mapped_column(sa.Text)
    manifest: Mapped[dict[str, Any]]
    size_bytes: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(sa.Text, default="")
    created_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    retained_until: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    resource: Mapped[Resource] = relationship(lazy="joined")


class LogArchive(Base):
    """持续归档: a chain of base backups and log of one server, without a gap.

    `server` is a shared one's name, or the id of the resource whose own it is. Moments from
    `oldest_at` to `reached_at` can be had. `sealed_key` is the secret half of the key it is
    encrypted to. `ended_at`: the server no longer had what comes next, and a new chain follows; or
    it was destroyed.
    """

    __tablename__ = "log_archive"
    chain: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    cloud: Mapped[str] = mapped_column(sa.String(40))
    server: Mapped[str] = mapped_column(sa.String(80))
    recipient: Mapped[str] = mapped_column(sa.String(80))
    sealed_key: Mapped[str] = mapped_column(sa.Text)
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    oldest_at: Mapped[datetime | None]
    reached_at: Mapped[datetime | None]
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    error: Mapped[str] = mapped_column(sa.Text, default="")


class BackupSchedule(Base):
    """备份计划: where a department has chosen other than its service declares."""

    __tablename__ = "backup_schedule"
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), primary_key=True)
    daily_at: Mapped[str] = mapped_column(sa.String(5))
    keep_days: Mapped[int]
    changed_at: Mapped[datetime]


class RestoreDrill(Base):
    """恢复演练: a backup restored where nobody uses it, and compared with its manifest.

    `recovery_time_seconds` is from the archive to the last row compared; `recovery_point_seconds`
    how old the backup was when the drill began: what would have been lost.
    """

    __tablename__ = "restore_drill"
    __table_args__ = (sa.UniqueConstraint("resource_id", "due_at"),)
    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    resource_id: Mapped[str] = mapped_column(sa.ForeignKey("resource.id"), index=True)
    backup_id: Mapped[int] = mapped_column(sa.ForeignKey("backup.id"), index=True)
    due_at: Mapped[datetime | None]
    result: Mapped[str] = mapped_column(sa.String(10))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    rows_compared: Mapped[int | None]
    recovery_time_seconds: Mapped[float | None]
    recovery_point_seconds: Mapped[int | None]
    difference: Mapped[str] = mapped_column(sa.Text, default="")

    backup: Mapped[Backup] = relationship(lazy="joined")
    resource: Mapped[Resource] = relationship(lazy="joined", viewonly=True)
