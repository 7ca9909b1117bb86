from sqlalchemy import Column, Float, ForeignKey, Integer, String

from survey.db import Base, Session, engine


class Well(Base):
    __tablename__ = "wells"

    id = Column(Integer, primary_key=True)
    aquifer_id = Column(ForeignKey("aquifers.id"))
    name = Column(String(40), nullable=False)
    depth_ft = Column(Float)


import survey.aquifers  # noqa: E402,F401

Base.metadata.create_all(engine)
with Session() as session:
    print("wells:", session.query(Well).count())
