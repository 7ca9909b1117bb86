"""Ledger and payouts

The first revision of this repository. The tables that are older (users and what hangs
on them, the merchants of While You Charge, demo mode) were made by create_all() when
the production database was set up.

Revision ID: 014_ledger
Revises:
Create Date: 2025-09-02
"""

import sqlalchemy as sa
from alembic import op

revision = "014_ledger"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_ledger",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(60), nullable=False),
        sa.Column("reference", sa.String(120), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_credit_ledger_user_id", "credit_ledger", ["user_id"])
    op.create_index("ix_credit_ledger_reference", "credit_ledger", ["reference"])
    op.create_table(
        "payout_requests",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("cents", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("provider_ref", sa.String(120), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
    )
    op.create_index("ix_payout_requests_user_id", "payout_requests", ["user_id"])


def downgrade() -> None:
    op.drop_table("payout_requests")
    op.drop_table("credit_ledger")
