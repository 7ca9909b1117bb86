from sqlalchemy import Column, Integer, String

from parcels.db import Base


class Depot(Base):
    __tablename__ = "depots"

    id = Column(Integer, primary_key=True)
    code = Column(String(3), nullable=False, unique=True)
    first_postcode = Column(String(5), nullable=False)
    last_postcode = Column(String(5), nullable=False)
