"""Filters of a list that a person keeps under a name"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "saved_view",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("person_id", big_id, sa.ForeignKey("person.id"), nullable=False),
        sa.Column("list_name", sa.String(40), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("query", sa.String(500), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("person_id", "list_name", "name"),
    )
    op.create_index("ix_saved_view_person_id", "saved_view", ["person_id"])
