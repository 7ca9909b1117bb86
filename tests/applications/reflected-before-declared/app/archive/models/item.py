from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from archive.db import Base


class Item(Base):
    __tablename__ = "items"

    id = Column(Integer, primary_key=True)
    box_id = Column(ForeignKey("boxes.id"), nullable=False)
    signature = Column(String(30), nullable=False, unique=True)
    years = Column(String(20))
    box = relationship("Box", back_populates="items")
