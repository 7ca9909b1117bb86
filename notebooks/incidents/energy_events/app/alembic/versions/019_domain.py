"""Domain Charge Party MVP

Revision ID: 019_domain
Revises: 018_offers
Create Date: 2025-11-26
"""

import sqlalchemy as sa
from alembic import op

revision = "019_domain"
down_revision = "018_offers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "zones",
        sa.Column("slug", sa.String(60), primary_key=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("center_lat", sa.Float(), nullable=False),
        sa.Column("center_lng", sa.Float(), nullable=False),
        sa.Column("radius_m", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "energy_events",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("slug", sa.String(80), nullable=False),
        sa.Column("zone_slug", sa.String(60), sa.ForeignKey("zones.slug"), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("nova_multiplier", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_energy_events_slug", "energy_events", ["slug"], unique=True)
    op.create_index("ix_energy_events_zone_slug", "energy_events", ["zone_slug"])
    op.create_index("ix_energy_events_status", "energy_events", ["status"])
    op.create_table(
        "domain_merchants",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("zone_slug", sa.String(60), sa.ForeignKey("zones.slug"), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lng", sa.Float(), nullable=False),
        sa.Column("place_id", sa.String(255), nullable=True),
        sa.Column("owner_user_id", sa.Integer(), nullable=True),
        sa.Column("nova_balance", sa.Integer(), nullable=False),
        sa.Column("perk_label", sa.String(120), nullable=True),
        sa.Column("perk_cost", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_domain_merchants_zone_slug", "domain_merchants", ["zone_slug"])
    op.create_index("ix_domain_merchants_place_id", "domain_merchants", ["place_id"], unique=True)
    op.create_index("ix_domain_merchants_owner_user_id", "domain_merchants", ["owner_user_id"])
    op.create_table(
        "driver_wallets",
        sa.Column("user_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("nova_balance", sa.Integer(), nullable=False),
        sa.Column("energy_reputation", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "domain_charging_sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("driver_user_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(36), sa.ForeignKey("energy_events.id"), nullable=True),
        sa.Column("charger_id", sa.String(64), nullable=True),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("kwh", sa.Float(), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("verified_by", sa.String(40), nullable=True),
        sa.Column("start_lat", sa.Float(), nullable=True),
        sa.Column("start_lng", sa.Float(), nullable=True),
    )
    op.create_index(
        "ix_domain_charging_sessions_driver_user_id", "domain_charging_sessions", ["driver_user_id"]
    )
    op.create_index(
        "ix_domain_charging_sessions_event_id", "domain_charging_sessions", ["event_id"]
    )
    op.create_table(
        "nova_transactions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("type", sa.String(30), nullable=False),
        sa.Column("driver_user_id", sa.Integer(), nullable=True),
        sa.Column(
            "merchant_id", sa.String(36), sa.ForeignKey("domain_merchants.id"), nullable=True
        ),
        sa.Column("event_id", sa.String(36), sa.ForeignKey("energy_events.id"), nullable=True),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_nova_transactions_type", "nova_transactions", ["type"])
    op.create_index("ix_nova_transactions_driver_user_id", "nova_transactions", ["driver_user_id"])
    op.create_index("ix_nova_transactions_merchant_id", "nova_transactions", ["merchant_id"])
    op.create_table(
        "stripe_payments",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("stripe_session_id", sa.String(255), nullable=False),
        sa.Column(
            "merchant_id", sa.String(36), sa.ForeignKey("domain_merchants.id"), nullable=False
        ),
        sa.Column("amount_cents", sa.Integer(), nullable=False),
        sa.Column("nova_issued", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index(
        "ix_stripe_payments_stripe_session_id",
        "stripe_payments",
        ["stripe_session_id"],
        unique=True,
    )
    op.create_index("ix_stripe_payments_merchant_id", "stripe_payments", ["merchant_id"])


def downgrade() -> None:
    for table in (
        "stripe_payments",
        "nova_transactions",
        "domain_charging_sessions",
        "driver_wallets",
        "domain_merchants",
        "energy_events",
        "zones",
    ):
        op.drop_table(table)
