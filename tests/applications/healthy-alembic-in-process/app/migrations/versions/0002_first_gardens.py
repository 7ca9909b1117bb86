"""the first gardens"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session, declarative_base

revision = "0002"
down_revision = "0001"

Frozen = declarative_base()


class Garden(Frozen):
    __tablename__ = "gardens"

    id = sa.Column(sa.Integer, primary_key=True)
    number = sa.Column(sa.Integer)
    square_metres = sa.Column(sa.Integer)


def upgrade():
    session = Session(bind=op.get_bind())
    session.add_all([Garden(number=number, square_metres=250) for number in (1, 2, 3)])
    session.flush()


def downgrade():
    op.execute("DELETE FROM gardens")
