"""riders and jobs"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "riders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(60), nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rider_id", sa.Integer, sa.ForeignKey("riders.id")),
        sa.Column("address", sa.String(200), nullable=False),
        sa.Column("picked_up", sa.DateTime),
    )


def downgrade():
    op.drop_table("jobs")
    op.drop_table("riders")
