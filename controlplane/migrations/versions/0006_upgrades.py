"""Upgrade campaigns and their members, which claim capacity as requests do"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import controlplane.db

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    utc = controlplane.db.UtcDateTime
    op.create_table(
        "upgrade_campaign",
        sa.Column("id", big_id, nullable=False),
        sa.Column("number", sa.String(length=24), nullable=False),
        sa.Column("service", sa.String(length=40), nullable=False),
        sa.Column("from_version", sa.String(length=20), nullable=False),
        sa.Column("to_version", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("at_once", sa.BigInteger(), nullable=False),
        sa.Column("group_selectors", sa.JSON(), nullable=False),
        sa.Column("maintenance_window", sa.String(length=60), nullable=False),
        sa.Column("started_by", sa.String(length=80), nullable=False),
        sa.Column("started_at", utc(), nullable=False),
        sa.Column("ended_at", utc(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upgrade_campaign")),
        sa.UniqueConstraint("number", name=op.f("uq_upgrade_campaign_number")),
    )
    op.create_index(
        "uq_upgrade_campaign_open",
        "upgrade_campaign",
        ["service"],
        unique=True,
        sqlite_where=sa.text("state IN ('running', 'stopped')"),
        postgresql_where=sa.text("state IN ('running', 'stopped')"),
    )
    op.create_table(
        "upgrade_member",
        sa.Column("id", big_id, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("group_number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("preview", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", utc(), nullable=True),
        sa.Column("ended_at", utc(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["upgrade_campaign.id"], name=op.f("fk_upgrade_member_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["resource.id"], name=op.f("fk_upgrade_member_resource_id")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_upgrade_member_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upgrade_member")),
        sa.UniqueConstraint(
            "campaign_id", "resource_id", name=op.f("uq_upgrade_member_campaign_id_resource_id")
        ),
    )
    op.create_index(op.f("ix_upgrade_member_resource_id"), "upgrade_member", ["resource_id"])
    with op.batch_alter_table("claim") as claim:
        claim.alter_column("request_id", existing_type=sa.BigInteger(), nullable=True)
        claim.add_column(sa.Column("upgrade_member_id", sa.BigInteger(), nullable=True))
        claim.create_foreign_key(
            op.f("fk_claim_upgrade_member_id"), "upgrade_member", ["upgrade_member_id"], ["id"]
        )
        claim.create_unique_constraint(
            op.f("uq_claim_upgrade_member_id_dimension"), ["upgrade_member_id", "dimension"]
        )
        claim.create_check_constraint(
            op.f("ck_claim_one_cause"), "(request_id IS NULL) <> (upgrade_member_id IS NULL)"
        )
