"""trees, prunings and harvests"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table(
        "trees",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("variety", sa.String(40), nullable=False),
        sa.Column("planted", sa.Integer),
    )
    op.create_table(
        "prunings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tree_id", sa.Integer, sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("done", sa.Date),
        sa.Column("by", sa.String(40)),
    )
    op.create_table(
        "harvests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tree_id", sa.Integer, sa.ForeignKey("trees.id"), nullable=False),
        sa.Column("picked", sa.Date),
        sa.Column("kilograms", sa.Float, nullable=False),
    )


def downgrade():
    op.drop_table("harvests")
    op.drop_table("prunings")
    op.drop_table("trees")
