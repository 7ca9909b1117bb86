from sqlalchemy import Table, func, select

from toolshed.db import Base


def lent(connection):
    loans = Table("loans", Base.metadata)
    return connection.execute(select(func.count()).select_from(loans)).scalar()
