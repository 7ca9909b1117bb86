from sqlalchemy import Column, Float, Integer, String

from observatory.db import Base


class Site(Base):
    __tablename__ = "sites"

    id = Column(Integer, primary_key=True)
    name = Column(String(60), nullable=False)
    latitude = Column(Float)
    longitude = Column(Float)
