"""What the end of a lease has done to a resource"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "resource", sa.Column("lease_suspended_at", controlplane.db.UtcDateTime(), nullable=True)
    )
    op.add_column(
        "resource",
        sa.Column("is_stopped_by_lease", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
