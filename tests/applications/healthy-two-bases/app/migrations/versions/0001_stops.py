"""stops and departures"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "stops",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(60), nullable=False, unique=True),
    )
    op.create_table(
        "departures",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("stop_id", sa.Integer, sa.ForeignKey("stops.id"), nullable=False),
        sa.Column("at", sa.Time, nullable=False),
    )


def downgrade():
    op.drop_table("departures")
    op.drop_table("stops")
