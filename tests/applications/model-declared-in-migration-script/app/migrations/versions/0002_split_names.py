"""given and family name"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session

from donations.db import Base

revision = "0002"
down_revision = "0001"


class Donor(Base):
    __tablename__ = "donors"

    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(120))
    given_name = sa.Column(sa.String(60))
    family_name = sa.Column(sa.String(60))


def upgrade():
    op.add_column("donors", sa.Column("given_name", sa.String(60)))
    op.add_column("donors", sa.Column("family_name", sa.String(60)))
    session = Session(bind=op.get_bind())
    for donor in session.query(Donor):
        donor.given_name, _, donor.family_name = donor.name.rpartition(" ")
    session.flush()
    with op.batch_alter_table("donors") as batch:
        batch.drop_column("name")


def downgrade():
    op.add_column("donors", sa.Column("name", sa.String(120)))
    with op.batch_alter_table("donors") as batch:
        batch.drop_column("given_name")
        batch.drop_column("family_name")
