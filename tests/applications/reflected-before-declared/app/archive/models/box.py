from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from archive.db import Base


class Box(Base):
    __tablename__ = "boxes"

    id = Column(Integer, primary_key=True)
    shelf = Column(String(12), nullable=False)
    items = relationship("Item", back_populates="box")
