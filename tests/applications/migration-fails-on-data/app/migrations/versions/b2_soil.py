import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    with op.batch_alter_table("plots", recreate="always") as batch:
        batch.add_column(sa.Column("soil", sa.String(40), nullable=False))


def downgrade():
    pass
