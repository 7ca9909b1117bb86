"""donors and gifts"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "donors",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("postcode", sa.String(8)),
    )
    op.create_table(
        "gifts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("donor_id", sa.Integer, sa.ForeignKey("donors.id"), nullable=False),
        sa.Column("given", sa.Date),
        sa.Column("what", sa.String(80), nullable=False),
    )


def downgrade():
    op.drop_table("gifts")
    op.drop_table("donors")
