"""berths, boats and releases"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "berths",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("pier", sa.String(2), nullable=False),
        sa.Column("metres", sa.Float, nullable=False),
    )
    op.create_table(
        "boats",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("berth_id", sa.Integer, sa.ForeignKey("berths.id")),
        sa.Column("name", sa.String(40), nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("head", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )


def downgrade():
    op.drop_table("releases")
    op.drop_table("boats")
    op.drop_table("berths")
