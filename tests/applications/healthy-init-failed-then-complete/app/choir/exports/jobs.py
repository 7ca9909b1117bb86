from sqlalchemy import Column, Integer, String

from choir.db import Base


class ExportJob(Base):
    __tablename__ = "export_jobs"

    id = Column(Integer, primary_key=True)
    path = Column(String(200), nullable=False)
    rows = Column(Integer)
