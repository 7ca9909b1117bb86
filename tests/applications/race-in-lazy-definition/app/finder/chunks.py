from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, Text

from finder import providers
from finder.db import Base

_chunk = None


def chunk_class(source):
    global _chunk
    if _chunk is None:
        length = providers.dimension(source)

        class Chunk(Base):
            __tablename__ = "chunks"

            id = Column(Integer, primary_key=True)
            document_id = Column(ForeignKey("documents.id"), nullable=False)
            text = Column(Text, nullable=False)
            vector = Column(LargeBinary(length * 4))

        _chunk = Chunk
    return _chunk
