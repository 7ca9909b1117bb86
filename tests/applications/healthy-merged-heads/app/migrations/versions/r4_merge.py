import sqlalchemy as sa
from alembic import op

revision = "r4"
down_revision = ("r2", "r3")


def upgrade():
    pass


def downgrade():
    pass
