"""Merchants' offers and claims

Revision ID: 018_offers
Revises: 017_network
Create Date: 2025-10-28
"""

import sqlalchemy as sa
from alembic import op

revision = "018_offers"
down_revision = "017_network"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merchant_offers",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("merchant_name", sa.String(120), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("cost_cents", sa.Integer(), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(), nullable=True),
        sa.Column("ends_at", sa.DateTime(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_merchant_offers_merchant_name", "merchant_offers", ["merchant_name"])
    op.create_table(
        "offer_claims",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("offer_id", sa.Integer(), sa.ForeignKey("merchant_offers.id"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("claimed_at", sa.DateTime(), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(), nullable=True),
    )
    op.create_index("ix_offer_claims_offer_id", "offer_claims", ["offer_id"])
    op.create_index("ix_offer_claims_user_id", "offer_claims", ["user_id"])
    op.create_index("ix_offer_claims_code", "offer_claims", ["code"], unique=True)


def downgrade() -> None:
    op.drop_table("offer_claims")
    op.drop_table("merchant_offers")
