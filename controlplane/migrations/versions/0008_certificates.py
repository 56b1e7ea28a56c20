"""Certificates that our authority signs, its revocation lists, and the domains of departments"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("department", sa.Column("domain", sa.String(length=253), nullable=True))
    op.create_index(op.f("ix_department_domain"), "department", ["domain"], unique=True)
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = controlplane.db.UtcDateTime()
    op.create_table(
        "certificate",
        sa.Column("id", big_id, nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=40), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("not_before", time, nullable=False),
        sa.Column("not_after", time, nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=30), nullable=False),
        sa.Column("revoked_at", time, nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_certificate_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("serial", name=op.f("uq_certificate_serial")),
    )
    op.create_index(op.f("ix_certificate_resource_id"), "certificate", ["resource_id"])
    op.create_index(op.f("ix_certificate_key_id"), "certificate", ["key_id"])
    op.create_index(op.f("ix_certificate_not_after"), "certificate", ["not_after"])
    op.create_index("ix_certificate_issuer_state", "certificate", ["issuer", "state"])
    op.create_table(
        "revocation_list",
        sa.Column("issuer", sa.String(length=40), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("this_update", time, nullable=False),
        sa.Column("next_update", time, nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_revocation_list")),
    )
