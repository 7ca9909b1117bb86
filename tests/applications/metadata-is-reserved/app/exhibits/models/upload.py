from sqlalchemy import JSON, Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship

from exhibits.db import Base


class Upload(Base):
    __tablename__ = "uploads"

    id = Column(Integer, primary_key=True)
    exhibit_id = Column(ForeignKey("exhibits.id"), nullable=False)
    path = Column(String(200), nullable=False)
    metadata = Column(JSON)
    exhibit = relationship("Exhibit", backref="uploads")
