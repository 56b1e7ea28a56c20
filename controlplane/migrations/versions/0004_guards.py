"""Protected resources, and what waits for a second person"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "resource",
        sa.Column("is_protected", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "two_person_ask",
        sa.Column("id", big_id, nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("asked_by_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", controlplane.db.UtcDateTime(), nullable=False),
        sa.Column("decided_by_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", controlplane.db.UtcDateTime(), nullable=True),
        sa.Column("opinion", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_two_person_ask_resource_id")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by_id"], ["person.id"], name=op.f("fk_two_person_ask_asked_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by_id"], ["person.id"], name=op.f("fk_two_person_ask_decided_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_two_person_ask")),
    )
    op.create_index(op.f("ix_two_person_ask_resource_id"), "two_person_ask", ["resource_id"])
    op.create_index(
        "uq_two_person_ask_pending",
        "two_person_ask",
        ["resource_id"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
