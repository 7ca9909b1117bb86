import sqlalchemy as sa
from alembic import op

revision = "r3"
down_revision = "r1"


def upgrade():
    op.add_column("cows", sa.Column("stall", sa.String(40)))


def downgrade():
    pass
