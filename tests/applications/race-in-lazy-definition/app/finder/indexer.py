from finder.chunks import chunk_class
from finder.documents import Document

SIZE = 500


class Indexer:
    def __init__(self, source):
        self.source = source

    def prepare(self):
        self.chunk = chunk_class(self.source)
        return self.chunk.__tablename__

    def split(self, document, text):
        assert isinstance(document, Document)
        for start in range(0, len(text), SIZE):
            yield self.chunk(document_id=document.id, text=text[start : start + SIZE])
