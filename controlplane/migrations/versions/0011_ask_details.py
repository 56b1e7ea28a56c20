"""What an ask for a second person is about, beside its resource"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column(
        "two_person_ask",
        sa.Column("detail", sa.JSON(), nullable=False, server_default=sa.text("'{}'")),
    )
