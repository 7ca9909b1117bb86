import sqlalchemy as sa
from alembic import op

revision = "r3"
down_revision = "r2"


def upgrade():
    op.drop_table("berths")


def downgrade():
    pass
