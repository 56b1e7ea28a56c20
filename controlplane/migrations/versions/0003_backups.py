"""Backups, their schedules and the drills that prove them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0003"
down_revision = "0002"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = controlplane.db.UtcDateTime()


def upgrade() -> None:
    op.create_table(
        "backup",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(length=24), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("keep_days", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.String(length=200), nullable=False),
        sa.Column("recipient", sa.String(length=80), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("taken_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("retained_until", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_backup_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
        sa.UniqueConstraint("number", name=op.f("uq_backup_number")),
        sa.UniqueConstraint("resource_id", "due_at", name=op.f("uq_backup_resource_id_due_at")),
    )
    op.create_index(op.f("ix_backup_resource_id"), "backup", ["resource_id"])
    op.create_index("ix_backup_state_retained_until", "backup", ["state", "retained_until"])
    op.create_table(
        "backup_schedule",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("daily_at", sa.String(length=5), nullable=False),
        sa.Column("keep_days", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_backup_schedule_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_backup_schedule")),
    )
    op.create_table(
        "restore_drill",
        sa.Column("id", ID, nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("backup_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("result", sa.String(length=10), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("rows_compared", sa.BigInteger(), nullable=True),
        sa.Column("recovery_time_seconds", sa.Float(), nullable=True),
        sa.Column("recovery_point_seconds", sa.BigInteger(), nullable=True),
        sa.Column("difference", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_restore_drill_resource_id")
        ),
        sa.ForeignKeyConstraint(
            ["backup_id"], ["backup.id"], name=op.f("fk_restore_drill_backup_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restore_drill")),
        sa.UniqueConstraint(
            "resource_id", "due_at", name=op.f("uq_restore_drill_resource_id_due_at")
        ),
    )
    op.create_index(op.f("ix_restore_drill_resource_id"), "restore_drill", ["resource_id"])
    op.create_index(op.f("ix_restore_drill_backup_id"), "restore_drill", ["backup_id"])
