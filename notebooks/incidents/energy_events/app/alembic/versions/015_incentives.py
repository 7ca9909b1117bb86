"""Incentive rules and what they granted

Revision ID: 015_incentives
Revises: 014_ledger
Create Date: 2025-09-16
"""

import sqlalchemy as sa
from alembic import op

revision = "015_incentives"
down_revision = "014_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incentive_rules",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_incentive_rules_code", "incentive_rules", ["code"], unique=True)
    op.create_table(
        "reward_grants",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("rule_id", sa.Integer(), sa.ForeignKey("incentive_rules.id"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("rule_id", "session_id", name="uq_reward_grant"),
    )
    op.create_index("ix_reward_grants_rule_id", "reward_grants", ["rule_id"])
    op.create_index("ix_reward_grants_user_id", "reward_grants", ["user_id"])


def downgrade() -> None:
    op.drop_table("reward_grants")
    op.drop_table("incentive_rules")
