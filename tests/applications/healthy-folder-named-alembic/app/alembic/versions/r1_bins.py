import sqlalchemy as sa
from alembic import op

revision = "r1"
down_revision = None


def upgrade():
    op.create_table("bins", sa.Column("id", sa.Integer, primary_key=True))
