"""Sealed secrets of resources; sites know their engine"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "credential",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", controlplane.db.UtcDateTime(), nullable=False),
        sa.Column("shown_at", controlplane.db.UtcDateTime(), nullable=True),
        sa.Column("valid_until", controlplane.db.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_credential_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint(
            "resource_id", "name", "state", name=op.f("uq_credential_resource_id_name_state")
        ),
    )
    op.create_index(op.f("ix_credential_resource_id"), "credential", ["resource_id"])
    op.add_column(
        "department_site",
        sa.Column("engine", sa.String(length=20), nullable=False, server_default="openstack"),
    )
