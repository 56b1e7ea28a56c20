"""What resources used, by the hour"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "use_hour",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("cpu_millicores_sum", sa.BigInteger(), nullable=False),
        sa.Column("cpu_millicores_max", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib_sum", sa.BigInteger(), nullable=False),
        sa.Column("memory_mib_max", sa.BigInteger(), nullable=False),
        sa.Column("sampled_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_use_hour_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", "hour", name=op.f("pk_use_hour")),
    )
    op.create_index(op.f("ix_use_hour_hour"), "use_hour", ["hour"])
