from concurrent.futures import ThreadPoolExecutor

from finder.db import Base, engine
from finder.indexer import Indexer

INDEXERS = [Indexer(source) for source in ("articles", "letters")]


def start():
    with ThreadPoolExecutor(len(INDEXERS), thread_name_prefix="indexer") as pool:
        started = [pool.submit(indexer.prepare) for indexer in INDEXERS]
    tables = {future.result() for future in started}
    Base.metadata.create_all(engine)
    return tables
