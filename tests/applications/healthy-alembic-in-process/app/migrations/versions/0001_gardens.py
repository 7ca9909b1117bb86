"""gardens and tenants"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "gardens",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("square_metres", sa.Integer),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("garden_id", sa.Integer),
        sa.Column("name", sa.String(80), nullable=False),
    )


def downgrade():
    op.drop_table("tenants")
    op.drop_table("gardens")
