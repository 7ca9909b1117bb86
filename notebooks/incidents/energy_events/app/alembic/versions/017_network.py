"""Chargers, reservations, utilities and the grid

Revision ID: 017_network
Revises: 016_community
Create Date: 2025-10-14
"""

import sqlalchemy as sa
from alembic import op

revision = "017_network"
down_revision = "016_community"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chargers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("network", sa.String(60), nullable=True),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lng", sa.Float(), nullable=False),
        sa.Column("power_kw", sa.Float(), nullable=True),
        sa.Column("plugs", sa.Integer(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "charger_reservations",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("charger_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("window_start", sa.DateTime(), nullable=False),
        sa.Column("window_end", sa.DateTime(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
    )
    op.create_index("ix_charger_reservations_charger_id", "charger_reservations", ["charger_id"])
    op.create_index("ix_charger_reservations_user_id", "charger_reservations", ["user_id"])
    op.create_table(
        "utility_programs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("utility", sa.String(80), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("cents_per_kwh", sa.Float(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "utility_enrollments",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("program_id", sa.Integer(), sa.ForeignKey("utility_programs.id"), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("account_number", sa.String(40), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("program_id", "user_id", name="uq_utility_enrollment"),
    )
    op.create_index("ix_utility_enrollments_program_id", "utility_enrollments", ["program_id"])
    op.create_index("ix_utility_enrollments_user_id", "utility_enrollments", ["user_id"])
    op.create_table(
        "grid_signals",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("region", sa.String(20), nullable=False),
        sa.Column("hour", sa.DateTime(), nullable=False),
        sa.Column("cents_per_kwh", sa.Float(), nullable=False),
        sa.UniqueConstraint("region", "hour", name="uq_grid_signal"),
    )


def downgrade() -> None:
    op.drop_table("grid_signals")
    op.drop_table("utility_enrollments")
    op.drop_table("utility_programs")
    op.drop_table("charger_reservations")
    op.drop_table("chargers")
