from sqlalchemy import Column, Date, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from donations.db import Base
from donations.donors import Donor


class Gift(Base):
    __tablename__ = "gifts"

    id = Column(Integer, primary_key=True)
    donor_id = Column(Integer, ForeignKey("donors.id"), nullable=False)
    given = Column(Date)
    what = Column(String(80), nullable=False)
    donor = relationship(Donor)
