"""samples and results"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "samples",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("well", sa.String(20), nullable=False),
        sa.Column("taken", sa.Date),
    )
    op.create_table(
        "results",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sample_id", sa.Integer, sa.ForeignKey("samples.id"), nullable=False),
        sa.Column("substance", sa.String(30), nullable=False),
        sa.Column("mg_per_litre", sa.Float),
    )


def downgrade():
    op.drop_table("results")
    op.drop_table("samples")
