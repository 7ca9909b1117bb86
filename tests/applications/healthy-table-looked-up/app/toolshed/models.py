from sqlalchemy.orm import relationship

from toolshed import tables  # noqa: F401
from toolshed.db import Base


class Tool(Base):
    __tablename__ = "tools"


class Loan(Base):
    __table__ = Base.metadata.tables["loans"]

    tool = relationship(Tool)
