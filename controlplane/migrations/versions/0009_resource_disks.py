"""What the data of a resource take of its plan's disk"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "resource_disk",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("limit_gib", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=10), nullable=False),
        sa.Column("is_read_only", sa.Boolean(), nullable=False),
        sa.Column("measured_at", controlplane.db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_resource_disk_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_resource_disk")),
    )
    op.create_index(op.f("ix_resource_disk_level"), "resource_disk", ["level"])
