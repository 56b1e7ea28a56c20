"""Archives that departments upload"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "upload",
        sa.Column("id", controlplane.db.BigId, nullable=False),
        sa.Column("department_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=120), nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("unpacked_bytes", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=255), nullable=False),
        sa.Column("uploaded_by_id", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_at", controlplane.db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["department_id"], ["department.id"], name=op.f("fk_upload_department_id")
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by_id"], ["person.id"], name=op.f("fk_upload_uploaded_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
        sa.UniqueConstraint("department_id", "sha256", name=op.f("uq_upload_department_id_sha256")),
    )
    op.create_index(op.f("ix_upload_department_id"), "upload", ["department_id"])
    op.create_index(op.f("ix_upload_sha256"), "upload", ["sha256"])
