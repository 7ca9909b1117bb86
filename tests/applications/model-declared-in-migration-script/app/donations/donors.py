from sqlalchemy import Column, Integer, String

from donations.db import Base


class Donor(Base):
    __tablename__ = "donors"

    id = Column(Integer, primary_key=True)
    given_name = Column(String(60))
    family_name = Column(String(60))
    postcode = Column(String(8))
