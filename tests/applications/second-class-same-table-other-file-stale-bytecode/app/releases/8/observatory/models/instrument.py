from sqlalchemy import Column, ForeignKey, Integer, String

from observatory.db import Base


class Instrument(Base):
    __tablename__ = "instruments"

    id = Column(Integer, primary_key=True)
    site_id = Column(ForeignKey("sites.id"), nullable=False)
    aperture_mm = Column(Integer, nullable=False)
    mount = Column(String(20))
