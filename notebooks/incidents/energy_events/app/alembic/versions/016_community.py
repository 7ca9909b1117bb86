"""Community pools

Revision ID: 016_community
Revises: 015_incentives
Create Date: 2025-09-30
"""

import sqlalchemy as sa
from alembic import op

revision = "016_community"
down_revision = "015_incentives"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "community_pools",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("city", sa.String(80), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_community_pools_city", "community_pools", ["city"])
    op.create_table(
        "pool_contributions",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("pool_id", sa.Integer(), sa.ForeignKey("community_pools.id"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_pool_contributions_pool_id", "pool_contributions", ["pool_id"])
    op.create_index("ix_pool_contributions_user_id", "pool_contributions", ["user_id"])


def downgrade() -> None:
    op.drop_table("pool_contributions")
    op.drop_table("community_pools")
